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

from airflow_provider_trackingmore.api.errors import InvalidShipmentError, Retry, TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.shipments import as_list
from airflow_provider_trackingmore.links import TrackingMoreLink, leave_link
from airflow_provider_trackingmore.triggers.shipments import EVENT_VERSION, ShipmentStatusTrigger
from airflow_provider_trackingmore.waiting.gate import (
    Decision,
    Failed,
    Goal,
    Outcome,
    Released,
    Waiting,
    goal,
    summary,
    timed_out,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_trackingmore.api.shipments import Shipment

GRACE_SECONDS = 30.0
"""How much longer Airflow waits for a deferred sensor than its trigger: the trigger's own event knows the outcomes."""


class ShipmentsFailedError(AirflowFailException):
    """The shipments that were waited for cannot arrive any more. Trying again does not help, so Airflow does not."""


class ShipmentStatusSensor(BaseSensorOperator):
    """Wait until shipments have one of some statuses.

    One look costs a call per 40 shipments (``GET /trackings/get?numbers=…``). In deferrable mode all waits of an
    account in a triggerer share their calls. TrackingMore itself asks a carrier every 3 to 6 hours:
    a ``poke_interval`` of half an hour loses nothing.

    It returns a list with one dict per shipment, in the order of ``shipments``: ``carrier_code``, ``tracking_number``,
    ``status``, ``substatus``, ``delivered_at`` and ``last_update`` (ISO 8601, local time of the place, without zone),
    ``order_id``, and ``outcome``: the status that ended the wait, or ``waiting``, ``not_registered``, ``timed_out``.

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``; one mapping is accepted too. An empty list
        succeeds at once.
    :param statuses: statuses that count as arrived.
    :param wait_for: how many must arrive: ``"all"``, ``"any"``, or a number.
    :param fail_on: statuses that count as failed. The wait fails as soon as too few shipments are left that can arrive.
    :param on_failure: ``"fail"`` raises; ``"return"`` ends the wait all the same and returns the list, also when the
        time is up, so that the DAG can go by each ``outcome``.
    :param deferrable: wait in the triggerer; the default is the option ``[operators] default_deferrable``.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsFailedError: if too few can arrive any more, or one is not registered; names each shipment.
    :raises AirflowSensorTimeout: if ``timeout`` is over, in every mode.
    :raises InvalidShipmentError: if an argument cannot be used; names it and the way out.
    """

    template_fields: Sequence[str] = ("shipments", "statuses", "wait_for", "fail_on", "trackingmore_conn_id")
    operator_extra_links = (TrackingMoreLink(),)
    ui_color = "#e8f1fb"

    def __init__(
        self,
        *,
        shipments: list[Shipment] | Shipment,
        statuses: list[str] | tuple[str, ...] = ("delivered",),
        wait_for: Literal["all", "any"] | int | str = "all",
        fail_on: list[str] | tuple[str, ...] = ("exception", "expired"),
        on_failure: Literal["fail", "return"] = "fail",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        trackingmore_conn_id: str = "trackingmore_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shipments = shipments
        self.statuses = statuses
        self.wait_for = wait_for
        self.fail_on = fail_on
        self.on_failure = on_failure
        self.deferrable = deferrable
        self.trackingmore_conn_id = trackingmore_conn_id
        self._known: dict[ShipmentKey, Outcome] = {}
        self._deadline: float | None = None

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Look once, and wait in the chosen mode if that is not enough.

        :param context: Airflow's.
        :return: one dict per shipment, in order.
        """
        self._deadline = time.time() + self.timeout
        # Once: an XCom that is read lazily costs a call an entry, and an iterator has its entries only once.
        self.shipments = cast("list[Shipment]", as_list(self.shipments))
        awaited = self._goal()
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
                result = self._out_of_time(awaited)
            return result
        decision = self._look(awaited)
        if isinstance(decision, Waiting):
            self._defer(awaited)
        # As if it had deferred: what soft_fail and never_fail mean is decided in one place.
        result = self.resume_execution("_conclude_first_look", {"decision": decision}, context)
        return result

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once.

        :param context: Airflow's.
        :return: whether the wait is over, and with what.
        """
        decision = self._look(self._goal())
        if isinstance(decision, Waiting):
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._conclude(decision))

    def execute_complete(self, context: Context, event: Any = None) -> list[dict[str, Any]]:
        """Go by the trigger's event; one that is not understood is an error, never success.

        :param context: Airflow's.
        :param event: what :class:`ShipmentStatusTrigger` yielded.
        :return: one dict per shipment, in order.
        """
        result, reason, known = _read_event(event)
        if result == "error":
            raise TrackingMoreError(reason)
        awaited = self._goal()
        if known.keys() != set(awaited.shipments):
            raise TrackingMoreError("the trigger's event is about other shipments than those waited for: run it again")
        self._known = known
        if result == "timed_out":
            return self._out_of_time(awaited)
        decision = awaited.decide(known)
        if not isinstance(decision, Released if result == "released" else Failed):
            raise TrackingMoreError(f"the trigger says {result}, its outcomes do not: {summary(decision.outcomes)}")
        return self._conclude(decision)

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

    def _goal(self) -> Goal:
        return goal(self.shipments, statuses=self.statuses, wait_for=self.wait_for, fail_on=self.fail_on)

    def _look(self, awaited: Goal) -> Decision:
        from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

        try:
            with TrackingMoreHook(self.trackingmore_conn_id, max_wait_seconds=self._time_left()) as hook:
                found = hook.look_up(awaited.still_open(self._known))
        except TrackingMoreError as error:
            if error.retry is Retry.NEVER:
                raise
            self.log.warning("This look failed, the wait goes on: %s", error)
        else:
            self._known.update((key, Outcome.of(key, tracking)) for key, tracking in found.items())
        decision = awaited.decide(self._known)
        self.log.info("Waiting for %s of %d: %s", self.wait_for, len(decision.outcomes), summary(decision.outcomes))
        return decision

    def _defer(self, awaited: Goal) -> NoReturn:
        self.defer(
            trigger=ShipmentStatusTrigger(
                shipments=[list(key) for key in awaited.shipments],
                statuses=sorted(awaited.statuses),
                fail_on=sorted(awaited.fail_on),
                wait_for=awaited.wait_for,
                poke_interval=self.poke_interval,
                deadline=self._deadline,
                trackingmore_conn_id=self.trackingmore_conn_id,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self._time_left() + GRACE_SECONDS),
        )

    def _conclude_first_look(self, context: Context, decision: Decision) -> list[dict[str, Any]]:
        return self._conclude(decision)

    def _conclude_without_event(
        self, context: Context, error: object = "Unknown", traceback: Sequence[str] | None = None, **others: Any
    ) -> list[dict[str, Any]]:
        if "timeout" in str(error).lower():
            return self._out_of_time(self._goal())
        self.log.error("The trigger failed:\n%s", "\n".join(traceback or ()))
        # Not an AirflowException: with soft_fail a broken triggerer would look like shipments that did not arrive.
        raise TrackingMoreError(f"the wait failed in the triggerer, see its log: {error}")

    def _conclude(self, decision: Decision) -> list[dict[str, Any]]:
        self.log.info("Wait over: %s", summary(decision.outcomes))
        if isinstance(decision, Failed):
            if self.on_failure == "fail":
                raise ShipmentsFailedError(decision.reason)
            self.log.warning("Not all arrived: %s", decision.reason)
        return [one.as_dict() for one in decision.outcomes]

    def _out_of_time(self, awaited: Goal) -> list[dict[str, Any]]:
        outcomes = timed_out(awaited.decide(self._known).outcomes)
        message = f"time-out of {self.timeout:.0f} s is over: {'; '.join(map(str, outcomes[:20]))}"
        if self.on_failure == "fail":
            raise AirflowSensorTimeout(message)
        self.log.warning("The %s", message)
        return [one.as_dict() for one in outcomes]


class ShipmentDeliveredSensor(ShipmentStatusSensor):
    """Wait until shipments are delivered; :class:`ShipmentStatusSensor` with ``statuses=("delivered",)``."""

    template_fields: Sequence[str] = ("shipments", "wait_for", "fail_on", "trackingmore_conn_id")

    def __init__(
        self,
        *,
        shipments: list[Shipment] | Shipment,
        wait_for: Literal["all", "any"] | int | str = "all",
        fail_on: list[str] | tuple[str, ...] = ("exception", "expired"),
        **kwargs: Any,
    ) -> None:
        super().__init__(shipments=shipments, wait_for=wait_for, fail_on=fail_on, **kwargs)


def _read_event(event: Any) -> tuple[str, str, dict[ShipmentKey, Outcome]]:
    if (
        isinstance(event, Mapping)
        and event.get("version") == EVENT_VERSION
        and event.get("result") in ("released", "failed", "timed_out", "error")
        and isinstance(event.get("outcomes"), list)
        and all(isinstance(entry, Mapping) and Outcome.is_in(entry) for entry in event["outcomes"])
    ):
        outcomes = [Outcome.from_dict(entry) for entry in event["outcomes"]]
        return event["result"], str(event.get("reason") or ""), {one.key: one for one in outcomes}
    raise TrackingMoreError(
        "the trigger's event is not understood: the triggerer may run another version of airflow-provider-trackingmore"
    )
