"""Sensors that wait until shipments have a status: their arguments, and the three modes of Airflow."""

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
from airflow_provider_trackingmore.hooks.hints import TEMPLATE_HINT
from airflow_provider_trackingmore.links import SHIPMENT_LINKS, push_links
from airflow_provider_trackingmore.operators.template_values import parse_choice
from airflow_provider_trackingmore.sensors.start_args import ComputedWhenRead, check_plain, start_args
from airflow_provider_trackingmore.sensors.worker_wait import WorkerWait
from airflow_provider_trackingmore.triggers.events import WaitEvent, is_check_again
from airflow_provider_trackingmore.triggers.shipments import GRACE_SECONDS, ShipmentStatusTrigger, can_end_in_triggerer
from airflow_provider_trackingmore.triggers.stored_size import check_stored_size
from airflow_provider_trackingmore.waiting.outcome import WaitResult
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
"""The errors with which Airflow 3 and Airflow 2 resume a task whose deferral has timed out."""
LAST_CHECK_SECONDS = 30.0
"""How long the calls of the last check, after the deadline, may wait for their slots."""


class ShipmentStatusSensor(BaseSensorOperator):
    """Wait until shipments have one of the given statuses.

    A check costs a call per 40 shipments (``GET /trackings/get?numbers=…``), and one more for each that the response
    omits (``GET /trackings/{carrier_code}/{tracking_number}``). In deferrable mode all waits of an account in a
    triggerer share their calls. TrackingMore itself polls a carrier every 3 to 6 hours, so nothing is lost with a
    ``poke_interval`` of half an hour.

    It returns a list with one dict per shipment, in the order of ``shipments``: ``carrier_code``, ``tracking_number``,
    ``status``, ``substatus``, ``delivered_at`` and ``last_update`` (ISO 8601, local time of the place, without zone),
    ``order_id``, and ``outcome``: the status that ended the wait, or ``returned``, ``stuck``, ``waiting``,
    ``not_registered``, ``timed_out``. With ``orders`` it returns one dict per order: ``order`` (its name), ``outcome``,
    ``delivered_at`` (of the last shipment, None unless the order has arrived), ``shipments`` (as above). A shipment
    that is listed twice, in any spelling, has one entry.

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``; one mapping is accepted too. An empty list
        succeeds at once.
    :param orders: in place of ``shipments``: name of each order -> its shipments. The task waits until each order is
        decided; ``wait_for`` then counts in each order.
    :param statuses: statuses that count as arrived.
    :param wait_for: how many must arrive: ``"all"``, ``"any"``, or a number.
    :param fail_on: statuses that count as failed; ``"returned"`` alone names the exceptions that are a return. The wait
        fails as soon as too few shipments are left that can arrive.
    :param settle_seconds: how long a shipment must have been seen as arrived before it counts, without being on its way
        again in the meantime. Reschedule mode remembers nothing, so there the vendor's whole days count.
    :param stuck_after: seconds without a new event, in whole days as the vendor counts them, after which a shipment is
        ``stuck``, which counts as failed; None for never.
    :param on_failed: ``"fail"`` raises; ``"report"`` returns the list instead, also after a timeout, so that the DAG
        can act on each ``outcome``.
    :param deferrable: wait in the triggerer; the default is the option ``[operators] default_deferrable``.
    :param reconcile_seconds: in deferrable mode, the longest time between two checks of a shipment that do not rely on
        what the vendor says has changed.
    :param end_from_trigger: in deferrable mode on Airflow 3.3 and newer, end a task that succeeds in the triggerer. One
        that fails, or has ``outlets``, is ended by a worker.
    :param start_from_trigger: on Airflow 3.3 and newer, begin the wait in the triggerer, without a first check on a
        worker. Only with plain values as arguments, and not for mapped tasks. Implies ``deferrable``.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsFailedError: if too few can still arrive, or one is not registered; names each shipment.
    :raises AirflowSensorTimeout: after ``timeout`` and, in every mode, one more check.
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
        self._wait: WorkerWait | None = None

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
        """Check, and wait in the chosen mode if necessary.

        In deferrable mode the triggerer makes the first check if it takes more than one call, or if the account is
        busy.

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
            # With soft_fail, Airflow reports a timeout as a skip; a skip with a cause is something else.
            if self.on_failed == "fail" or error.__cause__ is not None:
                raise
            return self._current().time_out()
        return result

    def poke(self, context: Context) -> PokeReturnValue:
        """Check once.

        :param context: Airflow task context.
        :return: whether the wait is over, and its result.
        """
        wait = self._current()
        wait.check(max(wait.time_left, LAST_CHECK_SECONDS))
        if not wait.is_over:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=wait.conclude())

    def execute_complete(
        self,
        context: Context,
        event: Any = None,
        wait: str | None = None,
        began: float | None = None,
        deadline: float | None = None,
    ) -> list[dict[str, Any]]:
        """Handle the trigger's event. An event that is not understood is an error, never success.

        If the task's arguments have changed while it was deferred, it goes on waiting with the new ones.

        :param context: Airflow task context.
        :param event: what :class:`ShipmentStatusTrigger` yielded.
        :param wait: the fingerprint of the wait when the task deferred.
        :param began: Unix seconds at which the wait began; None if it began in the triggerer.
        :param deadline: Unix seconds at which the trigger was to report a timeout.
        :return: one dict per shipment or per order, in order.
        """
        if is_check_again(event):
            return self._check_again(context, event.get("deadline"), began)
        report = WaitEvent.from_dict(event)
        if report.result is WaitResult.ERROR:
            raise TrackingMoreError(report.reason)
        # Compares two deadlines, not a deadline with the clock: the triggerer's clock may be ahead of the worker's.
        is_extended = began is not None and deadline is not None and began + self.timeout > deadline
        began = began if began is not None else time.time()
        is_empty = self._begin(context, began)
        current = self._current()
        has_changed = wait is not None and wait != current.spec.fingerprint
        if has_changed or (report.result is WaitResult.TIMED_OUT and is_extended):
            self.log.warning("The arguments of this task changed while it was deferred; waiting with the new ones")
            return [] if is_empty else self._check_and_defer(began)
        verdict = report.verdict(current.spec)
        return current.time_out(verdict) if verdict.result is WaitResult.TIMED_OUT else current.conclude(verdict)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral. If the deferral has timed out, check once more before giving up.

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
        raise TrackingMoreError("The wait failed in the triggerer: see the triggerer's log.")

    def _start_trigger_args(self) -> StartTriggerArgs | None:
        """Describe the trigger that begins this task; None if a worker begins it."""
        if not self._start_requested:
            return None
        check_plain({name: getattr(self, name) for name in self.template_fields})
        spec = self._spec(deadline=None, first_check_at=0.0)
        return start_args(spec, self.timeout) if spec.shipments and can_end_in_triggerer() else None

    # Steps of a wait -------------------------------------------------------------------------------------------------

    def _begin(self, context: Context, began: float) -> bool:
        """Read the arguments, and tell whether there is nothing to wait for."""
        if self.shipments is None and self.orders is None:
            raise InvalidArgumentError(f"{self.task_id}: give shipments to wait for, or orders")
        for name, kind in (("shipments", "list of mappings"), ("orders", "mapping")):
            if isinstance(getattr(self, name), str):
                raise InvalidArgumentError(f"{name} must be a {kind}, not text ({TEMPLATE_HINT})")
        parse_choice("on_failed", self.on_failed, ("fail", "report"))
        spec = self._new_wait(deadline=began + self.timeout).spec
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
        # A worker reports failures, in the task's own log, and outlets.
        if not self.end_from_trigger or self.outlets or not can_end_in_triggerer():
            return ()
        released = (WaitResult.RELEASED,)
        return released if self.on_failed == "fail" else (*released, WaitResult.FAILED, WaitResult.TIMED_OUT)

    def _new_wait(self, *, deadline: float | None) -> WorkerWait:
        self._wait = WorkerWait(
            self._spec(deadline=deadline, first_check_at=None),
            self.log,
            timeout=self.timeout,
            fails=self.on_failed == "fail",
            logs_next_check=not self.exponential_backoff,  # which makes the interval longer after each check
        )
        return self._wait

    def _current(self) -> WorkerWait:
        return self._wait or self._new_wait(deadline=None)  # there is none if poke() was called without execute()

    def _check_and_defer(self, began: float) -> list[dict[str, Any]]:
        wait = self._current()
        # A thousand tasks that start together would each occupy a worker slot while they wait for the rate limit. The
        # triggerer checks for all of them with a few calls.
        takes_one_call = len(wait.spec.shipments) <= FILTER_NUMBERS
        checked = takes_one_call and wait.check(min(FIRST_CHECK_SECONDS, wait.time_left), only_if_free=True)
        if not wait.is_over:
            self._defer(wait, began, checked=checked)
        return wait.conclude()

    def _check_again(self, context: Context, deadline: object, began: float | None) -> list[dict[str, Any]]:
        """Check because of a webhook, and go on waiting until the same deadline."""
        if began is None and isinstance(deadline, int | float):
            began = deadline - self.timeout
        began = began if began is not None else time.time()
        self.log.info("A webhook of TrackingMore has named one of these shipments")
        return [] if self._begin(context, began) else self._check_and_defer(began)

    def _defer(self, wait: WorkerWait, began: float, *, checked: bool) -> NoReturn:
        # The arguments cannot be read again: one of them may be an iterator.
        first_check_at = time.time() + self.poke_interval if checked else 0.0
        spec = replace(wait.spec, first_check_at=first_check_at)
        trigger = ShipmentStatusTrigger(spec)
        check_stored_size(trigger, len(spec.shipments))
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            kwargs={"wait": spec.fingerprint, "began": began, "deadline": spec.deadline},
            timeout=timedelta(seconds=wait.time_left + GRACE_SECONDS),
        )

    def _last_check(self, context: Context) -> list[dict[str, Any]]:
        """Check once more on the worker, because no triggerer was running at the deadline."""
        if self._begin(context, time.time() - self.timeout):
            return []
        wait = self._current()
        wait.check(LAST_CHECK_SECONDS)
        return wait.conclude() if wait.is_over else wait.time_out()

    def _as_in_poke_mode(self, step: Callable[[], T]) -> T:
        """Apply ``soft_fail`` and ``never_fail`` as Airflow does in poke mode."""
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

        :raises InvalidArgumentError: with ``statuses``, and as in :meth:`ShipmentStatusSensor.partial`.
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
