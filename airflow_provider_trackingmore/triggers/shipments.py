"""``ShipmentStatusTrigger``: a wait in the triggerer. Joins its account's hub; the gate decides; it changes nothing."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_trackingmore.api.errors import InvalidShipmentError, TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.shipments import shown
from airflow_provider_trackingmore.waiting.gate import Failed, Goal, Outcome, Released, goal, timed_out

EVENT_VERSION = 1
AT_ONCE = 200
"""So many shipments are read before other triggers have their turn: some 30 microseconds each."""


class ShipmentStatusTrigger(BaseTrigger):
    """Wait until shipments have a status.

    It yields one event: ``{"version": 1, "result": "released" | "failed" | "timed_out" | "error", "reason": text,
    "outcomes": [one plain dict per shipment]}``. Errors travel as events, since a trigger that raises would be skipped
    silently with ``soft_fail``. Only looks, so it may run any number of times.

    :param shipments: [carrier_code, tracking_number] pairs, or mappings with these two.
    :param statuses: statuses that count as arrived.
    :param fail_on: statuses that count as failed.
    :param wait_for: ``all``, ``any``, or how many.
    :param poke_interval: seconds between looks.
    :param deadline: unix seconds when the time is up; None: never. Survives a restart of the triggerer.
    :param trackingmore_conn_id: the Airflow connection.
    :param others: arguments of newer versions are accepted and not used, so that versions may be mixed while upgrading.
    """

    def __init__(
        self,
        shipments: Iterable[Any],
        statuses: Iterable[str] = ("delivered",),
        fail_on: Iterable[str] = ("exception", "expired"),
        wait_for: str | int = "all",
        poke_interval: float = 60.0,
        deadline: float | None = None,
        trackingmore_conn_id: str = "trackingmore_default",
        **others: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shipments = [_pair(shipment) for shipment in shipments]
        self.statuses = sorted(statuses)
        self.fail_on = sorted(fail_on)
        self.wait_for = wait_for
        self.poke_interval = poke_interval
        self.deadline = deadline
        self.trackingmore_conn_id = trackingmore_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Name the class and its arguments as plain JSON.

        :return: (path of the class, arguments).
        """
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "shipments": self.shipments,
                "statuses": self.statuses,
                "fail_on": self.fail_on,
                "wait_for": self.wait_for,
                "poke_interval": self.poke_interval,
                "deadline": self.deadline,
                "trackingmore_conn_id": self.trackingmore_conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        known: dict[ShipmentKey, Outcome] = {}
        try:
            event = await self._wait(known)
        except TrackingMoreError as error:
            event = self._event("error", known.values(), error.message)
        except AirflowException as error:  # such as: there is no such connection
            event = self._event("error", known.values(), f"{type(error).__name__}: {error}")
        except Exception as error:  # its text may hold anything: it stays in the triggerer's log
            self.log.exception("The wait failed")
            event = self._event("error", known.values(), f"the wait failed in the triggerer: {type(error).__name__}")
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self, known: dict[ShipmentKey, Outcome]) -> dict[str, Any]:
        from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
        from airflow_provider_trackingmore.waiting.hub import hub_of

        awaited = self._goal()
        client = await TrackingMoreHook(self.trackingmore_conn_id).aget_conn()
        with hub_of(client).join(awaited.shipments, self.poke_interval) as member:
            while (news := await member.news(self._time_left())) is not None:
                await _take(news, known)
                decision = awaited.decide(known)
                if isinstance(decision, Released):
                    return self._event("released", decision.outcomes)
                if isinstance(decision, Failed):
                    return self._event("failed", decision.outcomes, decision.reason)
                member.keys = awaited.still_open(known)
        return self._event("timed_out", timed_out(awaited.decide(known).outcomes))

    def _goal(self) -> Goal:
        for name in ("poke_interval", "deadline"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and math.isfinite(value)) and (name, value) != ("deadline", None):
                raise InvalidShipmentError(
                    f"{name} must be a number of seconds, not {shown(value) or type(value).__name__}"
                )
        shipments = [ShipmentKey(*pair) for pair in self.shipments]
        return goal(shipments, statuses=self.statuses, wait_for=self.wait_for, fail_on=self.fail_on)

    def _time_left(self) -> float | None:
        return None if self.deadline is None else max(self.deadline - time.time(), 0.0)

    @staticmethod
    def _event(result: str, outcomes: Iterable[Outcome], reason: str = "") -> dict[str, Any]:
        return {
            "version": EVENT_VERSION,
            "result": result,
            "reason": reason,
            "outcomes": [one.as_dict() for one in outcomes],
        }


async def _take(news: Mapping[ShipmentKey, Tracking | None], known: dict[ShipmentKey, Outcome]) -> None:
    """Read the news of a long list bit by bit: every trigger of the triggerer shares the event loop."""
    for position, (key, tracking) in enumerate(news.items(), start=1):
        known[key] = Outcome.of(key, tracking)
        if position % AT_ONCE == 0:
            await asyncio.sleep(0)


def _pair(shipment: Any) -> list[str]:
    if isinstance(shipment, Mapping):
        return [shipment["carrier_code"], shipment["tracking_number"]]
    carrier_code, tracking_number = shipment
    return [carrier_code, tracking_number]
