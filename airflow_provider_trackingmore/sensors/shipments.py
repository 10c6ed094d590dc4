"""Sensors: wait until shipments have a status. Arguments, modes and outcomes; the gate says when a wait is over."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_trackingmore.api.errors import InvalidShipmentError, Retry, TrackingMoreError
from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS
from airflow_provider_trackingmore.api.shipments import as_list
from airflow_provider_trackingmore.links import TrackingMoreLink, leave_link
from airflow_provider_trackingmore.triggers.events import read_event
from airflow_provider_trackingmore.triggers.shipments import GRACE_SECONDS, ShipmentStatusTrigger, can_end_in_triggerer
from airflow_provider_trackingmore.waiting.gate import Verdict, Wait
from airflow_provider_trackingmore.waiting.goals import Terms, wait, wait_for_orders
from airflow_provider_trackingmore.waiting.knowledge import Knowledge
from airflow_provider_trackingmore.waiting.outcomes import Outcome, listed, summary
from airflow_provider_trackingmore.waiting.planner import RECONCILE_SECONDS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_trackingmore.api.shipments import Shipment

FIRST_LOOK_SECONDS = 2.0
"""So long the look before a deferral may wait, for a second call or to try again: it does so in a worker slot."""


class ShipmentsFailedError(AirflowFailException):
    """The shipments that were waited for cannot arrive any more. Trying again does not help, so Airflow does not."""


class ShipmentStatusSensor(BaseSensorOperator):
    """Wait until shipments have one of some statuses.

    One look costs a call per 40 shipments (``GET /trackings/get?numbers=…``). In deferrable mode all waits of an
    account in a triggerer share their calls. TrackingMore itself asks a carrier every 3 to 6 hours:
    a ``poke_interval`` of half an hour loses nothing.

    It returns a list with one dict per shipment, in the order of ``shipments``: ``carrier_code``, ``tracking_number``,
    ``status``, ``substatus``, ``delivered_at`` and ``last_update`` (ISO 8601, local time of the place, without zone),
    ``order_id``, and ``outcome``: the status that ended the wait, or ``returned``, ``stuck``, ``waiting``,
    ``not_registered``, ``timed_out``. With ``orders`` it is one dict per order: ``order_id`` (its name), ``outcome``,
    ``delivered_at`` (of the last shipment, None unless the order has arrived), ``shipments`` (as above).

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``; one mapping is accepted too. An empty list
        succeeds at once.
    :param orders: in place of ``shipments``: name of each order -> its shipments. The task waits until each order is
        settled; ``wait_for`` then counts in each order.
    :param statuses: statuses that count as arrived.
    :param wait_for: how many must arrive: ``"all"``, ``"any"``, or a number.
    :param fail_on: statuses that count as failed; ``"returned"`` alone names the exceptions that are a return. The wait
        fails as soon as too few shipments are left that can arrive.
    :param settle_seconds: for how long a shipment must have been seen arrived before it counts; one that is on its way
        again meanwhile does not. In reschedule mode, which remembers nothing, the vendor's whole days count.
    :param stuck_after: seconds without a new event, in whole days as the vendor counts them, after which a shipment is
        ``stuck``, which counts as failed; None: never.
    :param on_failure: ``"fail"`` raises; ``"return"`` ends the wait all the same and returns the list, also when the
        time is up, so that the DAG can go by each ``outcome``.
    :param deferrable: wait in the triggerer; the default is the option ``[operators] default_deferrable``.
    :param reconcile_seconds: in deferrable mode, the longest time between two looks at a shipment that do not rely on
        what the vendor says has changed.
    :param end_from_trigger: in deferrable mode on Airflow 3.3 and newer, end a task that succeeds in the triggerer. One
        that fails, or has ``outlets``, is ended by a worker.
    :param start_from_trigger: on Airflow 3.3 and newer, begin the wait in the triggerer, without a first look on a
        worker. Only with plain values as arguments, and not for mapped tasks. Implies ``deferrable``.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsFailedError: if too few can arrive any more, or one is not registered; names each shipment.
    :raises AirflowSensorTimeout: if ``timeout`` is over, in every mode.
    :raises InvalidShipmentError: if an argument cannot be used; names it and the way out.
    """

    template_fields: Sequence[str] = (
        *("shipments", "orders", "statuses", "wait_for", "fail_on", "settle_seconds", "stuck_after"),
        "trackingmore_conn_id",
    )
    operator_extra_links = (TrackingMoreLink(),)
    ui_color = "#e8f1fb"

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
        on_failure: Literal["fail", "return"] = "fail",
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
        self.on_failure = on_failure
        self.deferrable = deferrable
        self.reconcile_seconds = reconcile_seconds
        self.end_from_trigger = end_from_trigger
        self.trackingmore_conn_id = trackingmore_conn_id
        self._known: Knowledge | None = None
        self._deadline: float | None = None
        self._parsed(start_from_trigger)

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task; see Airflow's ``partial()``.

        :raises InvalidShipmentError: with ``start_from_trigger``: Airflow cannot begin mapped tasks in the triggerer.
        """
        if kwargs.get("start_from_trigger"):
            raise InvalidShipmentError(
                "start_from_trigger cannot be used for mapped tasks, which get their arguments on a worker: leave it "
                "out (end_from_trigger works for them)"
            )
        return super().partial(**kwargs)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Look, and wait in the chosen mode if that is not enough.

        In deferrable mode the first look is the triggerer's when it takes more than one call, or when others ask just
        now.

        :param context: Airflow's.
        :return: one dict per shipment or per order, in order.
        """
        self._deadline = time.time() + self.timeout
        if self.shipments is not None:
            # Once: an XCom that is read lazily costs a call an entry, and an iterator has its entries only once.
            self.shipments = cast("list[Shipment]", as_list(self.shipments))
        awaited = self._awaited()
        if self.on_failure not in ("fail", "return"):
            raise InvalidShipmentError(f"on_failure must be 'fail' or 'return', not {self.on_failure!r}")
        leave_link(self, context, awaited.shipments)
        if not awaited.shipments:
            self.log.info("No shipments to wait for: done")
            return []
        result: list[dict[str, Any]]
        if not self.deferrable:
            try:
                result = super().execute(context)
            except (AirflowSensorTimeout, AirflowSkipException) as error:
                # With soft_fail Airflow says by a skip that the time is up; one with a cause says something else.
                if self.on_failure == "fail" or error.__cause__ is not None:
                    raise
                result = self._out_of_time(awaited.decide(self._knowledge(awaited), time.time()))
            return result
        looked = self._first_look(awaited)
        verdict = self._verdict(awaited)
        if verdict.result == "waiting":
            self._defer(awaited, looked)
        # As if it had deferred: what soft_fail and never_fail mean is decided in one place.
        result = self.resume_execution("_conclude_first_look", {"verdict": verdict}, context)
        return result

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once.

        :param context: Airflow's.
        :return: whether the wait is over, and with what.
        """
        awaited = self._awaited()
        self._look(awaited, self._time_left())
        verdict = self._verdict(awaited)
        if verdict.result == "waiting":
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._conclude(verdict))

    def execute_complete(self, context: Context, event: Any = None) -> list[dict[str, Any]]:
        """Go by the trigger's event; one that is not understood is an error, never success.

        :param context: Airflow's.
        :param event: what :class:`ShipmentStatusTrigger` yielded.
        :return: one dict per shipment or per order, in order.
        """
        result, reason, entries = read_event(event)
        if result == "error":
            raise TrackingMoreError(reason)
        awaited = self._awaited()
        told = {name: {one.key for one in outcomes} for name, outcomes in entries.items()}
        if told != {name: set(goal.shipments) for name, goal in awaited.goals.items() if goal.shipments}:
            raise TrackingMoreError("the trigger's event is about other shipments than those waited for: run it again")
        verdict = awaited.confirm(entries)
        if result == "timed_out":
            return self._out_of_time(verdict)
        if verdict.result != result:
            raise TrackingMoreError(f"the trigger says {result}, its outcomes do not: {summary(verdict.outcomes)}")
        return self._conclude(verdict)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Deal with a deferral that Airflow itself has ended; every version says that in words of its own.

        :param next_method: which method goes on.
        :param next_kwargs: its arguments.
        :param context: Airflow's.
        """
        if next_method == "__fail__":
            return super().resume_execution("_conclude_without_event", next_kwargs, context)
        return super().resume_execution(next_method, next_kwargs, context)

    def _time_left(self) -> float:
        return self.timeout if self._deadline is None else max(self._deadline - time.time(), 0.0)

    # Each step -------------------------------------------------------------------------------------------------------

    def _awaited(self) -> Wait:
        if self.orders is not None and self.shipments is not None:
            raise InvalidShipmentError("give shipments or orders, not both")
        terms = Terms(
            statuses=self.statuses,
            wait_for=self.wait_for,
            fail_on=self.fail_on,
            settle_seconds=self.settle_seconds,
            stuck_after=self.stuck_after,
        )
        return wait(self.shipments, terms) if self.orders is None else wait_for_orders(self.orders, terms)

    def _knowledge(self, awaited: Wait) -> Knowledge:
        if self._known is None:
            self._known = Knowledge(reopens=awaited.reopens)
        return self._known

    def _first_look(self, awaited: Wait) -> bool:
        """Look before a deferral, if that is one call and need not wait for its turn.

        A thousand tasks that start together would wait for a thousand turns, each in a worker slot; the triggerer looks
        for all of them with a few calls.

        :return: whether something was learnt.
        """
        if len(awaited.shipments) > FILTER_NUMBERS:
            return False
        return self._look(awaited, min(FIRST_LOOK_SECONDS, self._time_left()), at_once=True)

    def _look(self, awaited: Wait, seconds: float, *, at_once: bool = False) -> bool:
        """Look, waiting for so many seconds at most; with ``at_once`` only if that needs no waiting now."""
        from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

        known = self._knowledge(awaited)
        try:
            with TrackingMoreHook(self.trackingmore_conn_id, max_wait_seconds=seconds) as hook:
                if at_once and not hook.get_conn().is_free():
                    self.log.info("The account is asked by others just now: the triggerer looks for all of them")
                    return False
                found = hook.look_up(awaited.still_open(known, time.time()))
        except TrackingMoreError as error:
            if error.retry is Retry.NEVER:
                raise
            self.log.warning("This look failed, the wait goes on: %s", error)
            return False
        now = time.time()
        for key, tracking in found.items():
            known.learn(Outcome.of(key, tracking, now), now)
        return True

    def _verdict(self, awaited: Wait) -> Verdict:
        verdict = awaited.decide(self._knowledge(awaited), time.time())
        self.log.info("Waiting for %s of %d: %s", self.wait_for, len(verdict.outcomes), summary(verdict.outcomes))
        return verdict

    def _trigger(self, awaited: Wait, *, looked: bool) -> ShipmentStatusTrigger:
        shipments = {name: [list(key) for key in goal.shipments] for name, goal in awaited.goals.items()}
        terms = next(iter(awaited.goals.values()))
        return ShipmentStatusTrigger(
            shipments=shipments.get(None),
            orders=None if None in shipments else {str(name): own for name, own in shipments.items()},
            statuses=sorted(terms.statuses),
            fail_on=sorted(terms.fail_on),
            wait_for=terms.wait_for,
            settle_seconds=terms.settle_seconds,
            stuck_after=terms.stuck_after,
            poke_interval=self.poke_interval,
            deadline=self._deadline,
            reconcile_seconds=self.reconcile_seconds,
            look_at=time.time() + self.poke_interval if looked else 0.0,
            ends=self._ends_in_triggerer(),
            push_result=self.do_xcom_push,
            trackingmore_conn_id=self.trackingmore_conn_id,
        )

    def _ends_in_triggerer(self) -> tuple[Literal["released", "failed", "timed_out"], ...]:
        # A failure is shown by a worker, in the task's own log; only a worker reports outlets.
        if not self.end_from_trigger or self.outlets or not can_end_in_triggerer():
            return ()
        return ("released",) if self.on_failure == "fail" else ("released", "failed", "timed_out")

    def _defer(self, awaited: Wait, looked: bool) -> NoReturn:
        self.defer(
            trigger=self._trigger(awaited, looked=looked),
            method_name="execute_complete",
            timeout=timedelta(seconds=self._time_left() + GRACE_SECONDS),
        )

    def _parsed(self, start_from_trigger: bool) -> None:
        """Do what must be done where the DAG is parsed: it goes by what is a template, not by a template's text.

        Airflow begins a task in the triggerer with the arguments as they stand in the DAG file.
        """
        if self.shipments is None and self.orders is None:
            raise InvalidShipmentError(f"{self.task_id}: give shipments to wait for, or orders")
        if not start_from_trigger:
            return
        self.deferrable = True
        unclear = [name for name in self.template_fields if not _is_plain(getattr(self, name))]
        if unclear:
            raise InvalidShipmentError(
                f"start_from_trigger takes plain values only, and {', '.join(unclear)} is a template or comes from "
                "another task, which the triggerer does not resolve: leave start_from_trigger out (end_from_trigger "
                "works with them)"
            )
        awaited = self._awaited()
        if not awaited.shipments or not can_end_in_triggerer():
            return
        path, arguments = self._trigger(awaited, looked=False).serialize()
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=path,
            trigger_kwargs=arguments,
            next_method="execute_complete",
            timeout=timedelta(seconds=self.timeout + GRACE_SECONDS),
        )
        self.start_from_trigger = True

    def _conclude_first_look(self, context: Context, verdict: Verdict) -> list[dict[str, Any]]:
        return self._conclude(verdict)

    def _conclude_without_event(
        self, context: Context, error: object = "Unknown", traceback: Sequence[str] | None = None, **others: Any
    ) -> list[dict[str, Any]]:
        if "timeout" in str(error).lower():
            awaited = self._awaited()
            return self._out_of_time(awaited.decide(self._knowledge(awaited), time.time()))
        self.log.error("The trigger failed:\n%s", "\n".join(traceback or ()))
        # Not an AirflowException: with soft_fail a broken triggerer would look like shipments that did not arrive.
        raise TrackingMoreError(f"the wait failed in the triggerer, see its log: {error}")

    def _conclude(self, verdict: Verdict) -> list[dict[str, Any]]:
        self.log.info("Wait over: %s", summary(verdict.outcomes))
        if verdict.result == "failed":
            if self.on_failure == "fail":
                raise ShipmentsFailedError(verdict.reason)
            self.log.warning("Not all arrived: %s", verdict.reason)
        return verdict.plain()

    def _out_of_time(self, verdict: Verdict) -> list[dict[str, Any]]:
        late = verdict.timed_out()
        message = f"time-out of {self.timeout:.0f} s is over: {listed(late.outcomes)}"
        if self.on_failure == "fail":
            raise AirflowSensorTimeout(message)
        self.log.warning("The %s", message)
        return late.plain()


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
        super().__init__(shipments=shipments, orders=orders, wait_for=wait_for, fail_on=fail_on, **kwargs)


def _is_plain(value: object) -> bool:
    """Whether a value in a DAG file is what it says: no template, and nothing that another task will return."""
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    if isinstance(value, Mapping):
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float)
