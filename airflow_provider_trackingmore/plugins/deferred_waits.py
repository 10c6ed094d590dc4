"""Find the deferred waits in Airflow's database, and wake them to check again.

No other module uses the internal API that wakes a task: ``Trigger.submit_event``, in Airflow 3.1 to 3.3.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.plugins.task_waits import (
    DeferredWait,
    ShipmentOfConnection,
    TaskDetails,
    TaskKey,
    describe_wait,
    is_deferred,
    task_columns,
    task_details,
    trigger_arguments,
)
from airflow_provider_trackingmore.triggers.events import check_again_event
from airflow_provider_trackingmore.triggers.shipments import GRACE_SECONDS
from airflow_provider_trackingmore.waiting.spec import WaitSpec

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

READ_AT_ONCE = 500
"""The number of triggers that one query reads."""


class DeferredWaits:
    """An index of the deferred waits by shipment. It decrypts each trigger only once.

    Its methods may be called from any thread, except :meth:`add` and :meth:`forget`.
    """

    def __init__(self) -> None:
        self.read_at = float("-inf")
        """Unix seconds of the latest :meth:`refresh`."""
        self._waits: dict[int, DeferredWait] = {}
        self._by_shipment: dict[ShipmentOfConnection, dict[int, None]] = {}
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Read which tasks are deferred, and the triggers that are new."""
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.trigger import Trigger
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with self._lock, create_session() as session:
            read_at = time.time()
            rows = session.execute(
                select(Trigger.id).join(TaskInstance, TaskInstance.trigger_id == Trigger.id).where(*is_deferred())
            )
            current = {row[0] for row in rows}
            for trigger_id in self._waits.keys() - current:
                self.forget(trigger_id)
            for trigger_ids in _chunks(current - self._waits.keys()):
                query = (
                    select(Trigger, *task_columns())
                    .join(TaskInstance, TaskInstance.trigger_id == Trigger.id)
                    .where(Trigger.id.in_(trigger_ids))
                )
                for trigger, *columns in session.execute(query):
                    deferred_at = trigger.created_date.timestamp()
                    self.add(trigger.id, deferred_at, trigger_arguments(trigger), task_details(columns))
                session.expunge_all()
            self.read_at = read_at

    def all(self) -> list[DeferredWait]:
        """Return all waits, as of the latest :meth:`refresh`."""
        with self._lock:
            return list(self._waits.values())

    def find(self, shipment: ShipmentOfConnection) -> list[DeferredWait]:
        """Find the waits for a shipment that can be woken, as of the latest :meth:`refresh`.

        :param shipment: the connection and the shipment.
        """
        with self._lock:
            waits = [self._waits[trigger_id] for trigger_id in self._by_shipment.get(shipment, ())]
        return [wait for wait in waits if wait.can_be_woken]

    def wake(self, waits: Iterable[DeferredWait]) -> int:
        """Let waits check again, on a worker. Those that are no longer deferred are left alone.

        :param waits: the waits.
        :return: how many were woken.
        """
        from airflow.utils.session import create_session

        woken = 0
        for wait in waits:
            with create_session() as session:
                woken += _wake(wait.trigger_id, session)
            with self._lock:
                self.forget(wait.trigger_id)
        return woken

    def add(
        self, trigger_id: int, deferred_at: float, arguments: dict[str, object], task: TaskDetails | None = None
    ) -> None:
        """Add a wait to the index.

        :param trigger_id: its trigger.
        :param deferred_at: Unix seconds.
        :param arguments: the arguments of the trigger.
        :param task: the task instance; None if it is not needed.
        """
        details = task or TaskDetails(TaskKey("", "", ""))
        try:
            wait = describe_wait(trigger_id, deferred_at, WaitSpec.from_dict(arguments.get("wait")), details)
        except TrackingMoreError as error:
            log.debug("Cannot read trigger %d: %s", trigger_id, error)
            wait = DeferredWait(trigger_id, deferred_at, (), False, details, search_text=details.key.dag_id.casefold())
        self._waits[trigger_id] = wait
        for shipment in wait.shipments:
            self._by_shipment.setdefault(shipment, {})[trigger_id] = None

    def forget(self, trigger_id: int) -> None:
        """Remove a wait from the index.

        :param trigger_id: its trigger.
        """
        wait = self._waits.pop(trigger_id, None)
        for shipment in wait.shipments if wait else ():
            of_shipment = self._by_shipment[shipment]
            del of_shipment[trigger_id]
            if not of_shipment:
                del self._by_shipment[shipment]


def _wake(trigger_id: int, session: Session) -> bool:
    """Wake the task of a trigger, unless it is no longer deferred."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.triggers.base import TriggerEvent
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select, update

    still_deferred = (TaskInstance.trigger_id == trigger_id, TaskInstance.state == TaskInstanceState.DEFERRED)
    # This locks the task on every database, also on SQLite. Two processes that have read it as deferred would both
    # schedule it otherwise: it would run twice, and Airflow would fail it.
    lock = update(TaskInstance).where(*still_deferred).values(updated_at=datetime.now(UTC))
    session.execute(lock.execution_options(synchronize_session=False))
    task = session.scalar(select(TaskInstance).where(*still_deferred))
    if task is None:
        return False
    timeout = task.trigger_timeout
    deadline = None if timeout is None else timeout.timestamp() - GRACE_SECONDS
    event = TriggerEvent(check_again_event(deadline))  # type: ignore[no-untyped-call]
    Trigger.submit_event(trigger_id, event, session=session)
    return True


def _chunks(trigger_ids: Iterable[int]) -> Iterator[list[int]]:
    remaining = iter(trigger_ids)
    while chunk := list(islice(remaining, READ_AT_ONCE)):
        yield chunk
