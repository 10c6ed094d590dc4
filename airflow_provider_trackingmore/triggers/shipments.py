"""``ShipmentStatusTrigger``: a wait in the triggerer. Joins its account's hub; the gate decides; it changes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from airflow.providers.common.compat.sdk import AirflowException
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_trackingmore.api.errors import InvalidShipmentError, TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.shipments import shown
from airflow_provider_trackingmore.triggers.events import new_event
from airflow_provider_trackingmore.waiting.gate import Verdict, Wait
from airflow_provider_trackingmore.waiting.goals import Terms, wait, wait_for_orders
from airflow_provider_trackingmore.waiting.knowledge import Knowledge
from airflow_provider_trackingmore.waiting.members import News

LAST_MOMENT = 253_402_300_800.0
"""The year 10000, in unix seconds."""
AT_ONCE = 200
"""So many shipments are read before other triggers have their turn: some 30 microseconds each."""
GRACE_SECONDS = 30.0
"""How much longer Airflow waits for a deferred sensor than its trigger: the trigger's own event knows the outcomes."""


def can_end_in_triggerer() -> bool:
    """Tell whether a trigger can write a result that the next task reads as it is.

    :return: True from Airflow 3.3 on. Older ones can end a task too, but its result would come back as JSON text.
    """
    from airflow.providers.common.compat.sdk import XCom  # on Airflow 3.0 it brings a web framework along

    return hasattr(XCom, "aset")


class ShipmentStatusTrigger(BaseTrigger):
    """Wait until shipments have a status.

    It yields one event: ``{"version": 1, "result": "released" | "failed" | "timed_out" | "error", "reason": text,
    "outcomes": [one plain dict per shipment]}``; with ``orders`` each outcome names its ``order``. Errors travel as
    events, since a trigger that raises would be skipped silently with ``soft_fail``. Only looks, so it may run any
    number of times.

    :param shipments: [carrier_code, tracking_number] pairs, or mappings with these two.
    :param statuses: statuses that count as arrived.
    :param fail_on: statuses, or ``returned``, that count as failed.
    :param wait_for: ``all``, ``any``, or how many.
    :param poke_interval: seconds between looks.
    :param deadline: unix seconds when the time is up; None: when Airflow says so. Survives a restart of the triggerer.
    :param trackingmore_conn_id: the Airflow connection.
    :param orders: name of an order -> its shipments, in place of ``shipments``.
    :param settle_seconds: for how long a shipment must have been seen arrived before it counts.
    :param stuck_after: seconds without a new event after which a shipment is stuck; None: never.
    :param reconcile_seconds: longest time between two looks that do not rely on the vendor's news of changes.
    :param look_at: unix seconds of the first look, in the past for at once; None: ``poke_interval`` from now.
    :param ends: which results end the task here, in place of a worker: any of ``released``, ``failed``, ``timed_out``.
        Whatever else happens is told to a worker.
    :param push_result: whether a task that ends here leaves its result in XCom.
    :param others: arguments of newer versions are accepted and not used, so that versions may be mixed while upgrading.
    """

    def __init__(
        self,
        shipments: Iterable[Any] | None = None,
        statuses: Iterable[str] = ("delivered",),
        fail_on: Iterable[str] = ("exception", "expired"),
        wait_for: str | int = "all",
        poke_interval: float = 60.0,
        deadline: float | None = None,
        trackingmore_conn_id: str = "trackingmore_default",
        orders: Mapping[str, Iterable[Any]] | None = None,
        settle_seconds: float = 0.0,
        stuck_after: float | None = None,
        reconcile_seconds: float = 1800.0,
        look_at: float | None = None,
        ends: Iterable[Literal["released", "failed", "timed_out"]] = (),
        push_result: bool = True,
        **others: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # What is stored may be of another version, or damaged: ``run`` says so, for a constructor that raises can take
        # the whole triggerer with it.
        self.shipments = _pairs(shipments)
        self.statuses = _sorted(statuses)
        self.fail_on = _sorted(fail_on)
        self.wait_for = wait_for
        self.poke_interval = poke_interval
        self.deadline = deadline
        self.trackingmore_conn_id = trackingmore_conn_id
        self.orders: Any = {n: _pairs(own) for n, own in orders.items()} if isinstance(orders, Mapping) else orders
        self.settle_seconds = settle_seconds
        self.stuck_after = stuck_after
        self.reconcile_seconds = reconcile_seconds
        self.look_at = look_at
        self.ends = _sorted(ends)
        self.push_result = push_result

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Name the class and its arguments as plain JSON.

        :return: (path of the class, arguments).
        """
        names = (
            *("shipments", "statuses", "fail_on", "wait_for", "poke_interval", "deadline", "trackingmore_conn_id"),
            *("orders", "settle_seconds", "stuck_after", "reconcile_seconds", "look_at", "ends", "push_result"),
        )
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        try:
            result, verdict = await self._wait()
        except TrackingMoreError as error:
            event = new_event("error", error.message)
        except AirflowException as error:  # such as: there is no such connection
            event = new_event("error", f"{type(error).__name__}: {error}")
        except Exception as error:  # its text may hold anything: it stays in the triggerer's log
            self.log.exception("The wait failed")
            event = new_event("error", f"the wait failed in the triggerer: {type(error).__name__}")
        else:
            event = new_event(result, verdict.reason, verdict)
            if isinstance(self.ends, list) and result in self.ends and await self._leave_result(verdict):
                self.log.info("Wait over (%s): the task ends here", result)
                yield TaskSuccessEvent()
                return
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self) -> tuple[str, Verdict]:
        from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
        from airflow_provider_trackingmore.waiting.hub import hub_of

        awaited = self._awaited()
        known = Knowledge(reopens=awaited.reopens)
        verdict = awaited.decide(known, time.time())
        if verdict.result != "waiting":
            return verdict.result, verdict
        client = await TrackingMoreHook(self.trackingmore_conn_id).aget_conn()
        look_in = None if self.look_at is None else self.look_at - time.time()
        with hub_of(client).join(
            awaited.shipments, self.poke_interval, look_in=look_in, reconcile_seconds=self.reconcile_seconds
        ) as member:
            while (news := await member.news(self._time_left())) is not None:
                await _take(news, known)
                now = time.time()
                verdict = awaited.decide(known, now)
                if verdict.result != "waiting":
                    return verdict.result, verdict
                member.narrow(awaited.still_open(known, now), fresh=awaited.settling(known, now))
        return "timed_out", verdict.timed_out()

    async def _leave_result(self, verdict: Verdict) -> bool:
        """Leave the result as the task itself would, if that is possible here.

        :return: False: let a worker do it.
        """
        task = self.task_instance
        if task is None or not can_end_in_triggerer():  # ``dag.test()`` runs triggers without a triggerer
            return False
        if self.push_result:
            from airflow.providers.common.compat.sdk import XCOM_RETURN_KEY, XCom

            result = verdict.plain()
            place = {"dag_id": task.dag_id, "task_id": task.task_id, "run_id": task.run_id, "map_index": task.map_index}
            try:
                await XCom.aset(XCOM_RETURN_KEY, result, **place, _mapped_length=len(result))
            except Exception:
                self.log.warning("The result cannot be left from here: a worker ends the task", exc_info=True)
                return False
        return True

    def _awaited(self) -> Wait:
        for name in ("poke_interval", "deadline", "reconcile_seconds", "look_at"):
            value = getattr(self, name)
            optional = name in ("deadline", "look_at") and value is None
            number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < LAST_MOMENT
            if not number and not optional:
                raise InvalidShipmentError(
                    f"{name} must be a number of seconds from 0, not {shown(value) or type(value).__name__}"
                )
        terms = Terms(
            statuses=self.statuses,
            wait_for=self.wait_for,
            fail_on=self.fail_on,
            settle_seconds=self.settle_seconds,
            stuck_after=self.stuck_after,
        )
        if isinstance(self.orders, Mapping):
            return wait_for_orders({name: _keys(own) for name, own in self.orders.items()}, terms)
        if self.orders is not None or self.shipments is None:
            return wait_for_orders(self.orders or "nothing", terms)  # which refuses it in words
        return wait(_keys(self.shipments), terms)

    def _time_left(self) -> float | None:
        deadline = self.deadline
        if deadline is None:
            # A task that began here: Airflow keeps its deadline, and a restart does not move it.
            airflows = getattr(self, "timeout_after", None)
            deadline = airflows.timestamp() - GRACE_SECONDS if isinstance(airflows, datetime) else None
        return None if deadline is None else max(deadline - time.time(), 0.0)


async def _take(news: News, known: Knowledge) -> None:
    """Read the news of a long list bit by bit: every trigger of the triggerer shares the event loop."""
    now = time.time()
    for position, outcome in enumerate(news.values(), start=1):
        known.learn(outcome, now)
        if position % AT_ONCE == 0:
            await asyncio.sleep(0)


def _pairs(shipments: Any) -> Any:
    """Shipments as [carrier_code, tracking_number]; what is none stays as it is."""
    if not isinstance(shipments, Iterable) or isinstance(shipments, str | bytes | Mapping):
        return shipments
    return [_pair(shipment) for shipment in shipments]


def _pair(shipment: Any) -> Any:
    if isinstance(shipment, Mapping) and {"carrier_code", "tracking_number"} <= shipment.keys():
        return [shipment["carrier_code"], shipment["tracking_number"]]
    return list(shipment) if isinstance(shipment, tuple) else shipment


def _keys(shipments: Any) -> Any:
    """The same as a wait takes them, which names what is wrong."""
    if not isinstance(shipments, list):
        return shipments
    return [ShipmentKey(*one) if isinstance(one, list) and len(one) == 2 else one for one in shipments]


def _sorted(values: Any) -> Any:
    try:
        return sorted(values) if not isinstance(values, str) else values
    except TypeError:
        return list(values) if isinstance(values, Iterable) else values
