"""``ShipmentStatusTrigger``: a wait in the triggerer. It shares the poller of its account with other waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.formatting import format_list
from airflow_provider_trackingmore.triggers.connections import connect
from airflow_provider_trackingmore.triggers.events import WaitEvent
from airflow_provider_trackingmore.waiting.outcome import Verdict, WaitResult
from airflow_provider_trackingmore.waiting.spec import WaitSpec

LOGGED_SHIPMENTS = 3
"""How many shipments of a wait a log line names."""
GRACE_SECONDS = 60.0
"""Airflow's timeout is this much later than the trigger's deadline, at which the trigger makes a last check."""


def can_end_in_triggerer() -> bool:
    """Tell whether a trigger can push a result that other tasks read unchanged.

    :return: True from Airflow 3.3 on. Before that, a trigger can end a task, but its result would be read as JSON text.
    """
    from airflow.providers.common.compat.sdk import XCom  # on Airflow 3.0 this imports a web framework

    return hasattr(XCom, "aset")


class ShipmentStatusTrigger(BaseTrigger):
    """Wait until shipments have a status, with ``GET /trackings/get`` and
    ``GET /trackings/{carrier_code}/{tracking_number}``.

    It yields one event: ``{"version": 1, "result": "released" | "failed" | "timed_out" | "error", "reason": text,
    "wait": fingerprint, "outcomes": [[row per shipment] per order]}``. Errors are events as well: if the trigger raised
    them, ``soft_fail`` would silently skip the task. The trigger only reads, so it is safe to run repeatedly.

    :param wait: a :class:`~airflow_provider_trackingmore.waiting.spec.WaitSpec`, or its stored form (``to_dict()``).
    :param others: arguments of newer versions, which are ignored, so that versions may be mixed during an upgrade.
    """

    def __init__(self, wait: WaitSpec | Mapping[str, object] | None = None, **others: object) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # The stored form may be damaged, or of another version. ``run`` reports that, because a constructor that raises
        # can end the whole triggerer.
        self._stored: Any = wait.to_dict() if isinstance(wait, WaitSpec) else wait

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments as plain JSON.

        :return: (path of the class, arguments).
        """
        return f"{type(self).__module__}.{type(self).__qualname__}", {"wait": self._stored}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event."""
        from airflow_provider_trackingmore.waiting.cooperative import run_off_loop

        spec: WaitSpec | None = None
        try:
            stored = self._stored
            spec = await run_off_loop(WaitSpec.stored_size(stored), lambda: WaitSpec.from_dict(stored))
            spec = self._with_deadline(spec)
            verdict = await self._wait(spec)
        except TrackingMoreError as error:
            event = WaitEvent(WaitResult.ERROR, str(error))
        except AirflowException as error:  # for instance, there is no such connection
            event = WaitEvent(WaitResult.ERROR, f"{type(error).__name__}: {error}")
        except Exception as error:  # its text may contain anything, so it stays in the triggerer's log
            self.log.exception("The wait for %s failed", "its shipments" if spec is None else _describe(spec))
            event = WaitEvent(WaitResult.ERROR, f"the wait failed in the triggerer: {type(error).__name__}")
        else:
            event = await run_off_loop(spec.size, lambda: WaitEvent.from_verdict(spec, verdict))
            if verdict.result in spec.end_in_triggerer and await self._push_result(spec, verdict):
                self.log.info(
                    "Wait for %s ended (%s). The triggerer ends the task; no worker is needed",
                    _describe(spec),
                    verdict.result,
                )
                yield TaskSuccessEvent()
                return
        yield TriggerEvent(event.to_dict())  # type: ignore[no-untyped-call]

    async def _wait(self, spec: WaitSpec) -> Verdict:
        from airflow_provider_trackingmore.metrics import METRICS
        from airflow_provider_trackingmore.triggers.triggerer_services import connect_in_triggerer
        from airflow_provider_trackingmore.waiting.pollers import pollers_of_running_loop
        from airflow_provider_trackingmore.waiting.session import run_wait

        pollers = pollers_of_running_loop(METRICS)
        conn_id = spec.trackingmore_conn_id
        trigger_id: int | None = self.trigger_id
        if trigger_id is None:  # ``dag.test()`` runs triggers without a triggerer
            return await run_wait(spec, lambda: connect(conn_id), pollers=pollers)
        return await run_wait(
            spec, lambda: connect_in_triggerer(conn_id, pollers), pollers=pollers, trigger_id=trigger_id
        )

    def _with_deadline(self, spec: WaitSpec) -> WaitSpec:
        """Set the deadline of a task that began in the triggerer: Airflow stores its timeout, so restarts keep it."""
        timeout_after = getattr(self, "timeout_after", None)
        if spec.deadline is None and isinstance(timeout_after, datetime):
            return replace(spec, deadline=timeout_after.timestamp() - GRACE_SECONDS)
        return spec

    async def _push_result(self, spec: WaitSpec, verdict: Verdict) -> bool:
        """Push the result to XCom as the task itself would.

        :return: False if a worker must end the task.
        """
        task = self.task_instance
        if task is None or not can_end_in_triggerer():  # ``dag.test()`` runs triggers without a triggerer
            return False
        if spec.push_result:
            from airflow.providers.common.compat.sdk import XCOM_RETURN_KEY, XCom

            from airflow_provider_trackingmore.waiting.cooperative import run_off_loop

            result = await run_off_loop(spec.size, verdict.to_list)
            task_key = {name: getattr(task, name) for name in ("dag_id", "task_id", "run_id", "map_index")}
            try:
                await XCom.aset(XCOM_RETURN_KEY, result, **task_key, _mapped_length=len(result))
            except Exception:
                self.log.warning(
                    "The triggerer cannot push the result for %s to XCom; a worker will end the task",
                    _describe(spec),
                    exc_info=True,
                )
                return False
        return True


def _describe(spec: WaitSpec) -> str:
    """Name the first shipments of a wait for the log."""
    return format_list(spec.shipments, limit=LOGGED_SHIPMENTS)
