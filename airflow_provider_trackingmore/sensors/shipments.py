"""Sensors: wait until shipments have a status. Arguments, modes and results; ``waiting`` decides when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_trackingmore.api.errors import InvalidArgumentError, TrackingMoreError
from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS
from airflow_provider_trackingmore.exceptions import ShipmentsFailedError
from airflow_provider_trackingmore.hooks.hints import TEMPLATE_HINT
from airflow_provider_trackingmore.links import SHIPMENT_LINKS, push_links
from airflow_provider_trackingmore.sensors.checks import check_open_shipments, describe_open_shipments, format_time
from airflow_provider_trackingmore.sensors.start_args import ComputedWhenRead, is_plain
from airflow_provider_trackingmore.triggers.events import WaitEvent
from airflow_provider_trackingmore.triggers.shipments import GRACE_SECONDS, ShipmentStatusTrigger, can_end_in_triggerer
from airflow_provider_trackingmore.triggers.stored_size import check_stored_size
from airflow_provider_trackingmore.waiting.condition import Condition
from airflow_provider_trackingmore.waiting.failures import is_final
from airflow_provider_trackingmore.waiting.outcome import Verdict, WaitResult, first_listed, summary
from airflow_provider_trackingmore.waiting.spec import RECONCILE_SECONDS, WaitSpec

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk.exceptions import TaskDeferralError

    from airflow_provider_trackingmore.api.shipments import Shipment
else:
    try:
        from airflow.sdk.exceptions import TaskDeferralError
    except ImportError:  # before Airflow 3.1
        from airflow.exceptions import TaskDeferralError

T = TypeVar("T")

FIRST_CHECK_SECONDS = 2.0
"""How long the calls of the check before a deferral may wait for their slots: the check occupies a worker."""
TRIGGER_TIMEOUTS = ("Trigger timeout", "Trigger/execution timeout")
"""What Airflow 3 and Airflow 2 give as the reason for ending a deferral whose ``timeout`` is over."""
LAST_CHECK_SECONDS = 30.0
"""How long the calls of the last check, after the deadline, may wait for their slots."""


class ShipmentStatusSensor(BaseSensorOperator):
    """Wait until shipments have one of some statuses.

    A check costs a call per 40 shipments (``GET /trackings/get?numbers=…``), and one more for each that the answer
    leaves out (``GET /trackings/{carrier_code}/{tracking_number}``). In deferrable mode all waits of an account in a
    triggerer share their calls. TrackingMore itself asks a carrier every 3 to 6 hours: a ``poke_interval`` of half an
    hour loses nothing.

    It returns a list with one dict per shipment, in the order of ``shipments``: ``carrier_code``, ``tracking_number``,
    ``status``, ``substatus``, ``delivered_at`` and ``last_update`` (ISO 8601, local time of the place, without zone),
    ``order_id``, and ``outcome``: the status that ended the wait, or ``returned``, ``stuck``, ``waiting``,
    ``not_registered``, ``timed_out``. With ``orders`` it is one dict per order: ``order`` (its name), ``outcome``,
    ``delivered_at`` (of the last shipment, None unless the order has arrived), ``shipments`` (as above). A shipment
    that is named twice, in whatever spelling, has one entry.

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``; one mapping is accepted too. An empty list
        succeeds at once.
    :param orders: in place of ``shipments``: name of each order -> its shipments. The task waits until each order is
        decided; ``wait_for`` then counts in each order.
    :param statuses: statuses that count as arrived.
    :param wait_for: how many must arrive: ``"all"``, ``"any"``, or a number.
    :param fail_on: statuses that count as failed; ``"returned"`` alone names the exceptions that are a return. The wait
        fails as soon as too few shipments are left that can arrive.
    :param settle_seconds: for how long a shipment must have been seen arrived before it counts; one that is on its way
        again meanwhile does not. In reschedule mode, which remembers nothing, the vendor's whole days count.
    :param stuck_after: seconds without a new event, in whole days as the vendor counts them, after which a shipment is
        ``stuck``, which counts as failed; None: never.
    :param on_failed: ``"fail"`` raises; ``"report"`` ends the wait all the same and returns the list, also when the
        time is up, so that the DAG can go by each ``outcome``.
    :param deferrable: wait in the triggerer; the default is the option ``[operators] default_deferrable``.
    :param reconcile_seconds: in deferrable mode, the longest time between two checks of a shipment that do not rely on
        what the vendor says has changed.
    :param end_from_trigger: in deferrable mode on Airflow 3.3 and newer, end a task that succeeds in the triggerer. One
        that fails, or has ``outlets``, is ended by a worker.
    :param start_from_trigger: on Airflow 3.3 and newer, begin the wait in the triggerer, without a first check on a
        worker. Only with plain values as arguments, and not for mapped tasks. Implies ``deferrable``.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsFailedError: if too few can arrive any more, or one is not registered; names each shipment.
    :raises AirflowSensorTimeout: if ``timeout`` is over, in every mode after one more check.
    :raises InvalidArgumentError: if an argument cannot be used; names it and says what to do.
    """

    template_fields: Sequence[str] = (
        *("shipments", "orders", "statuses", "wait_for", "fail_on", "settle_seconds", "stuck_after"),
        "trackingmore_conn_id",
    )
    operator_extra_links = SHIPMENT_LINKS
    ui_color = "#e8f1fb"

    start_from_trigger = ComputedWhenRead[bool](False, lambda task: task._start_trigger_args() is not None)
    start_trigger_args = ComputedWhenRead[StartTriggerArgs | None](None, lambda task: task._start_trigger_args())
    _start_requested = False  # Airflow reads the two before __init__ has ended

    def __init__(
        self,
        *,
        shipments: list[Shipment] | Shipment | None = None,
        orders: Mapping[str, list[Shipment] | Shipment] | None = None,
        statuses: list[str] | tuple[str, ...] = ("delivered",),
        wait_for: Literal["all", "any"] | int | str = "all",
        fail_on: list[str] | tuple[str, ...] = ("exception", "expired"),
        settle_seconds: float | str = 0.0,
        stuck_after: float | str | None = None,
        on_failed: Literal["fail", "report"] = "fail",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        reconcile_seconds: float = RECONCILE_SECONDS,
        end_from_trigger: bool = False,
        start_from_trigger: bool = False,
        trackingmore_conn_id: str = "trackingmore_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shipments = shipments
        self.orders = orders
        self.statuses = statuses
        self.wait_for = wait_for
        self.fail_on = fail_on
        self.settle_seconds = settle_seconds
        self.stuck_after = stuck_after
        self.on_failed = on_failed
        self.deferrable = deferrable
        self.reconcile_seconds = reconcile_seconds
        self.end_from_trigger = end_from_trigger
        self.trackingmore_conn_id = trackingmore_conn_id
        self._start_requested = start_from_trigger
        self._condition: Condition | None = None
        self._deadline: float | None = None

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task; see Airflow's ``partial()``.

        :raises InvalidArgumentError: with ``start_from_trigger``: Airflow cannot begin mapped tasks in the triggerer.
        """
        if kwargs.get("start_from_trigger"):
            raise InvalidArgumentError(
                "start_from_trigger cannot be used for mapped tasks, which get their arguments on a worker: leave it "
                "out (end_from_trigger works for them)"
            )
        return super().partial(**kwargs)

    # What Airflow calls ----------------------------------------------------------------------------------------------

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Check, and wait in the chosen mode if that is not enough.

        In deferrable mode the first check is left to the triggerer when it takes more than one call, or when the
        account is busy.

        :param context: Airflow task context.
        :return: one dict per shipment or per order, in order.
        """
        began = time.time()
        if self._begin(context, began):
            return []
        if self.deferrable or self._start_requested:
            return self._as_in_poke_mode(lambda: self._check_and_defer(began))
        try:
            result: list[dict[str, Any]] = super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException) as error:
            # With soft_fail Airflow reports a time-out as a skip; a skip with a cause reports something else.
            if self.on_failed == "fail" or error.__cause__ is not None:
                raise
            return self._timed_out(self._current().verdict())
        return result

    def poke(self, context: Context) -> PokeReturnValue:
        """Check once.

        :param context: Airflow task context.
        :return: whether the wait is over, and with what.
        """
        condition = self._current()
        self._check(max(self._time_left(), LAST_CHECK_SECONDS))
        if not condition.is_over():
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._conclude(condition.verdict()))

    def execute_complete(
        self,
        context: Context,
        event: Any = None,
        wait: str | None = None,
        began: float | None = None,
        deadline: float | None = None,
    ) -> list[dict[str, Any]]:
        """Act on the trigger's event; one that is not understood is an error, never success.

        If the task's arguments have changed while it was deferred, it waits on with the new ones.

        :param context: Airflow task context.
        :param event: what :class:`ShipmentStatusTrigger` yielded.
        :param wait: the fingerprint of what the task waited for when it deferred.
        :param began: unix seconds at which the wait began; None: in the triggerer.
        :param deadline: unix seconds at which the trigger was to report a time-out.
        :return: one dict per shipment or per order, in order.
        """
        report = WaitEvent.from_dict(event)
        if report.result is WaitResult.ERROR:
            raise TrackingMoreError(report.reason)
        # Compares two deadlines, not a deadline with the clock: the triggerer's clock may be ahead of the worker's.
        is_extended = began is not None and deadline is not None and began + self.timeout > deadline
        began = began if began is not None else time.time()
        is_empty = self._begin(context, began)
        spec = self._current().spec
        has_changed = wait is not None and wait != spec.fingerprint
        if has_changed or (report.result is WaitResult.TIMED_OUT and is_extended):
            self.log.warning("The arguments of this task changed while it was deferred; waiting with the new ones")
            return [] if is_empty else self._check_and_defer(began)
        verdict = report.verdict(spec)
        if verdict.result is WaitResult.TIMED_OUT:
            return self._timed_out(verdict)
        return self._conclude(verdict)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral. When Airflow has ended it for time, check once more before giving up.

        :param next_method: which method resumes.
        :param next_kwargs: its arguments.
        :param context: Airflow task context.
        """
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except Exception as error:
            if (next_kwargs or {}).get("error") in TRIGGER_TIMEOUTS:
                return self._as_in_poke_mode(lambda: self._last_check(context))
            if not _has_cause(error, TaskDeferralError):
                raise
        # Not an AirflowException: with soft_fail a broken triggerer would look like shipments that did not arrive.
        raise TrackingMoreError("The wait failed in the triggerer: see its log.")

    def _start_trigger_args(self) -> StartTriggerArgs | None:
        """Describe the trigger that begins this task; Airflow gives it the arguments as they stand in the DAG file."""
        if not self._start_requested:
            return None
        not_plain = [name for name in self.template_fields if not is_plain(getattr(self, name))]
        if not_plain:
            raise InvalidArgumentError(
                f"start_from_trigger takes plain values only, and {', '.join(not_plain)} is a template or comes from "
                "another task, which the triggerer does not resolve: leave start_from_trigger out (end_from_trigger "
                "works with them)"
            )
        spec = self._spec(deadline=None, first_check_at=0.0)
        if not spec.shipments or not can_end_in_triggerer():
            return None
        path, arguments = ShipmentStatusTrigger(spec).serialize()
        return StartTriggerArgs(
            trigger_cls=path,
            trigger_kwargs=arguments,
            next_method="execute_complete",
            next_kwargs={"wait": spec.fingerprint},
            timeout=timedelta(seconds=self.timeout + GRACE_SECONDS),
        )

    # The steps -------------------------------------------------------------------------------------------------------

    def _begin(self, context: Context, began: float) -> bool:
        """Read the arguments; tell whether there is nothing to wait for."""
        if self.shipments is None and self.orders is None:
            raise InvalidArgumentError(f"{self.task_id}: give shipments to wait for, or orders")
        for name, kind in (("shipments", "list of mappings"), ("orders", "mapping")):
            if isinstance(getattr(self, name), str):
                raise InvalidArgumentError(f"{name} must be a {kind}, not text ({TEMPLATE_HINT})")
        if self.on_failed not in ("fail", "report"):
            raise InvalidArgumentError(f"on_failed must be 'fail' or 'report', not {self.on_failed!r}")
        self._deadline = began + self.timeout
        spec = self._spec(deadline=self._deadline, first_check_at=None)
        self._condition = Condition(spec)
        if not spec.shipments:
            self.log.info("No shipments to wait for: done")
            return True
        from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

        with TrackingMoreHook(self.trackingmore_conn_id) as hook:
            push_links(self, context, spec.shipments, hook)
        return False

    def _spec(self, *, deadline: float | None, first_check_at: float | None) -> WaitSpec:
        return WaitSpec.create(
            shipments=self.shipments,
            orders=self.orders,
            statuses=self.statuses,
            wait_for=self.wait_for,
            fail_on=self.fail_on,
            settle_seconds=self.settle_seconds,
            stuck_after=self.stuck_after,
            poke_interval=self.poke_interval,
            reconcile_seconds=self.reconcile_seconds,
            deadline=deadline,
            first_check_at=first_check_at,
            end_in_triggerer=self._end_results(),
            push_result=self.do_xcom_push,
            trackingmore_conn_id=self.trackingmore_conn_id,
        )

    def _end_results(self) -> tuple[WaitResult, ...]:
        # A failure is shown by a worker, in the task's own log; only a worker reports outlets.
        if not self.end_from_trigger or self.outlets or not can_end_in_triggerer():
            return ()
        released = (WaitResult.RELEASED,)
        return released if self.on_failed == "fail" else (*released, WaitResult.FAILED, WaitResult.TIMED_OUT)

    def _current(self) -> Condition:
        if self._condition is None:  # poke() was called without execute()
            self._condition = Condition(self._spec(deadline=None, first_check_at=None))
        return self._condition

    def _time_left(self) -> float:
        return self.timeout if self._deadline is None else max(self._deadline - time.time(), 0.0)

    def _check_and_defer(self, began: float) -> list[dict[str, Any]]:
        condition = self._current()
        checked = False
        # A thousand tasks that start together would each wait for their turn in a worker slot: the triggerer checks
        # for all of them with a few calls.
        if len(condition.spec.shipments) <= FILTER_NUMBERS:
            checked = self._check(min(FIRST_CHECK_SECONDS, self._time_left()), only_if_free=True)
        if not condition.is_over():
            self._defer(began, checked=checked)
        return self._conclude(condition.verdict())

    def _check(self, seconds: float, *, only_if_free: bool = False) -> bool:
        """Check the open shipments.

        :param seconds: how long to wait at most for slots of the account, for all calls together.
        :param only_if_free: do nothing unless a call can be made at once.
        :return: whether the check was complete.
        """
        from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

        condition = self._current()
        try:
            with TrackingMoreHook(self.trackingmore_conn_id, wait_until=time.monotonic() + seconds) as hook:
                if only_if_free and not hook.get_conn().is_free():
                    self.log.info("Account is busy; deferring the first check to the triggerer")
                    return False
                check_open_shipments(hook, condition)
        except TrackingMoreError as error:
            if is_final(error):
                raise
            self.log.warning("Check failed, the wait continues: %s", error)
            return False
        finally:
            outcomes = condition.verdict().outcomes
            self.log.info("Waiting for %s of %d: %s", self.wait_for, len(outcomes), summary(outcomes))
        self._log_schedule()
        return True

    def _log_schedule(self) -> None:
        """Log which shipments the wait is still waiting for, and when the next check and the deadline are."""
        condition = self._current()
        if condition.is_over():
            return
        times = []
        next_check = time.time() + self.poke_interval
        if self._deadline is not None:
            next_check = min(next_check, self._deadline)
            times.append(f"deadline {format_time(self._deadline)}")
        if not self.exponential_backoff:  # which makes the interval longer after each check
            times.insert(0, f"next check {format_time(next_check)}")
        self.log.info("Still open: %s (%s)", describe_open_shipments(condition), ", ".join(times))

    def _defer(self, began: float, *, checked: bool) -> NoReturn:
        # Not from the arguments again: an iterator can be read only once.
        first_check_at = time.time() + self.poke_interval if checked else 0.0
        spec = replace(self._current().spec, first_check_at=first_check_at)
        trigger = ShipmentStatusTrigger(spec)
        check_stored_size(trigger, len(spec.shipments))
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            kwargs={"wait": spec.fingerprint, "began": began, "deadline": self._deadline},
            timeout=timedelta(seconds=self._time_left() + GRACE_SECONDS),
        )

    def _last_check(self, context: Context) -> list[dict[str, Any]]:
        """Airflow ended the deferral, since the triggerer was away at the deadline: check once more here."""
        if self._begin(context, time.time() - self.timeout):
            return []
        self._check(LAST_CHECK_SECONDS)
        condition = self._current()
        return self._conclude(condition.verdict()) if condition.is_over() else self._timed_out(condition.verdict())

    def _conclude(self, verdict: Verdict) -> list[dict[str, Any]]:
        self.log.info("Wait over: %s", summary(verdict.outcomes))
        if verdict.result is WaitResult.FAILED:
            if self.on_failed == "fail":
                raise ShipmentsFailedError(verdict.reason)
            self.log.warning("Not all arrived: %s", verdict.reason)
        return verdict.to_list()

    def _timed_out(self, verdict: Verdict) -> list[dict[str, Any]]:
        late = verdict.at_deadline()
        message = f"time-out of {self.timeout:.0f} s is over: {first_listed(late.outcomes)}"
        if self.on_failed == "fail":
            raise AirflowSensorTimeout(message)
        self.log.warning("The %s", message)
        return late.to_list()

    def _as_in_poke_mode(self, step: Callable[[], T]) -> T:
        """Let ``soft_fail`` and ``never_fail`` mean here what they mean in Airflow's own loop."""
        try:
            return step()
        except (AirflowSensorTimeout, AirflowFailException) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException("Skipping because soft_fail or never_fail is set.") from error
            raise


class ShipmentDeliveredSensor(ShipmentStatusSensor):
    """Wait until shipments are delivered; :class:`ShipmentStatusSensor` with ``statuses=("delivered",)``."""

    template_fields: Sequence[str] = tuple(name for name in ShipmentStatusSensor.template_fields if name != "statuses")

    def __init__(
        self,
        *,
        shipments: list[Shipment] | Shipment | None = None,
        orders: Mapping[str, list[Shipment] | Shipment] | None = None,
        wait_for: Literal["all", "any"] | int | str = "all",
        fail_on: list[str] | tuple[str, ...] = ("exception", "expired"),
        **kwargs: Any,
    ) -> None:
        _refuse_statuses(kwargs)
        super().__init__(shipments=shipments, orders=orders, wait_for=wait_for, fail_on=fail_on, **kwargs)

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task; see Airflow's ``partial()``.

        :raises InvalidArgumentError: with ``statuses``, and as :meth:`ShipmentStatusSensor.partial`.
        """
        _refuse_statuses(kwargs)
        return super().partial(**kwargs)


def _refuse_statuses(arguments: Mapping[str, object]) -> None:
    if "statuses" in arguments:
        raise InvalidArgumentError(
            "ShipmentDeliveredSensor always waits for the status delivered: use ShipmentStatusSensor to set statuses"
        )


def _has_cause(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__
    return False
