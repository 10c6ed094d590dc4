"""Read from Airflow's database what deferred task instances wait for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.triggers.shipments import GRACE_SECONDS, ShipmentStatusTrigger
from airflow_provider_trackingmore.waiting.spec import WaitSpec

if TYPE_CHECKING:
    from airflow.models.trigger import Trigger
    from sqlalchemy import ColumnElement

log = logging.getLogger(__name__)

CLASS_PATH = f"{ShipmentStatusTrigger.__module__}.{ShipmentStatusTrigger.__qualname__}"
SENSORS = ("ShipmentDeliveredSensor", "ShipmentStatusSensor")
"""The sensors of this package, as in the ``operator`` of a task instance."""
SHOWN_ORDERS = 20
"""How many orders of a wait are shown by name."""

ShipmentOfConnection = tuple[str, ShipmentKey]
"""The connection of a wait, and a normalized shipment."""


class TaskKey(NamedTuple):
    """Identifies a task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    """-1 for a task that is not mapped."""


class TaskDetails(NamedTuple):
    """A waiting task instance, as the page shows it.

    :param key: the task instance.
    :param label: the rendered ``map_index_template`` of a mapped one; None if there is none.
    :param started_at: Unix seconds; None if unknown.
    :param times_out_at: Unix seconds at which Airflow ends its deferral; None for never.
    """

    key: TaskKey
    label: str | None = None
    started_at: float | None = None
    times_out_at: float | None = None


@dataclass(frozen=True, slots=True)
class DeferredWait:
    """A task that waits in the triggerer.

    :param trigger_id: its trigger, a new one each time that it is deferred.
    :param deferred_at: Unix seconds.
    :param shipments: the shipments that it waits for.
    :param can_be_woken: whether it can check early without losing anything.
    :param task: the task instance.
    :param conn_id: its connection; empty if its arguments cannot be read.
    :param order_names: the names of its first orders.
    :param order_count: the number of its orders.
    :param poke_interval: seconds between two checks.
    :param deadline: Unix seconds at which it times out; None for never.
    :param search_text: the text to search, casefolded: a line each for the DAG, task, label, orders and numbers.
    """

    trigger_id: int
    deferred_at: float
    shipments: tuple[ShipmentOfConnection, ...]
    can_be_woken: bool
    task: TaskDetails
    conn_id: str = ""
    order_names: tuple[str, ...] = ()
    order_count: int = 0
    poke_interval: float = 60.0
    deadline: float | None = None
    search_text: str = ""


class StoredWait(NamedTuple):
    """A wait as Airflow's database stores it.

    :param wait: its description.
    :param spec: its options.
    """

    wait: DeferredWait
    spec: WaitSpec


@dataclass(frozen=True, slots=True)
class FoundTask:
    """A task instance, and what it waits for.

    :param task: the task instance.
    :param state: its state; empty if it has none.
    :param operator: the name of its operator.
    :param stored: its wait; None if it is not deferred with a trigger of this package.
    """

    task: TaskDetails
    state: str
    operator: str
    stored: StoredWait | None = None


def is_deferred() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for task instances that are deferred with a trigger of this package."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.state import TaskInstanceState

    return TaskInstance.state == TaskInstanceState.DEFERRED, Trigger.classpath == CLASS_PATH


def task_columns() -> tuple[ColumnElement[object], ...]:
    """Return the columns that :func:`task_details` reads."""
    from airflow.models.taskinstance import TaskInstance

    columns = TaskInstance.__table__.c  # the attribute rendered_map_index of the class is not the column
    names = ("dag_id", "run_id", "task_id", "map_index", "rendered_map_index", "start_date", "trigger_timeout")
    return tuple(columns[name] for name in names)


def task_details(columns: Sequence[object]) -> TaskDetails:
    """Convert a row of :func:`task_columns`.

    :param columns: the row.
    """
    row: Any = columns
    *key, label, started, times_out = row
    times = (None if time is None else time.timestamp() for time in (started, times_out))
    return TaskDetails(TaskKey(*key), label, *times)


def describe_wait(trigger_id: int, deferred_at: float, spec: WaitSpec, task: TaskDetails) -> DeferredWait:
    """Describe a wait.

    :param trigger_id: its trigger.
    :param deferred_at: Unix seconds.
    :param spec: its options.
    :param task: the task instance.
    """
    keys = dict.fromkeys(normalized for shipments in spec.orders.values() for normalized in shipments)
    names = [name for name in spec.orders if name is not None]
    deadline = spec.deadline
    if deadline is None and task.times_out_at is not None:
        deadline = task.times_out_at - GRACE_SECONDS
    texts = [task.key.dag_id, task.key.task_id, task.label or "", *names, *(key.tracking_number for key in keys)]
    return DeferredWait(
        trigger_id,
        deferred_at,
        tuple((spec.trackingmore_conn_id, key) for key in keys),
        # A wait that measures how long a shipment has been seen as arrived would start measuring again.
        not spec.settle_seconds,
        task,
        spec.trackingmore_conn_id,
        tuple(names[:SHOWN_ORDERS]),
        len(names),
        spec.poke_interval,
        deadline,
        "\n".join(texts).casefold(),
    )


def trigger_arguments(trigger: Trigger) -> dict[str, object]:
    """Decrypt the arguments of a trigger; empty if that fails, so that one trigger does not affect the others."""
    try:
        return dict(trigger.kwargs)
    except Exception as error:
        log.warning("Cannot read the arguments of trigger %d (%s)", trigger.id, type(error).__name__)
        return {}


def count_undeferred() -> dict[str, int]:
    """Count by DAG the sensors of this package that wait on a worker, or for their next reschedule."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import func, select

    states = (TaskInstanceState.RUNNING, TaskInstanceState.UP_FOR_RESCHEDULE)
    with create_session() as session:
        query = (
            select(TaskInstance.dag_id, func.count())
            .where(TaskInstance.state.in_(states), TaskInstance.operator.in_(SENSORS))
            .group_by(TaskInstance.dag_id)
        )
        return {str(dag_id): int(count) for dag_id, count in session.execute(query)}


def find_task(key: TaskKey) -> FoundTask | None:
    """Read a task instance, and what it waits for if it is deferred with a trigger of this package.

    :param key: the task instance.
    :return: None if there is no such task instance.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = (
            select(TaskInstance.state, TaskInstance.operator, Trigger, *task_columns())
            .outerjoin(Trigger, TaskInstance.trigger_id == Trigger.id)
            .where(*(getattr(TaskInstance, name) == value for name, value in key._asdict().items()))
        )
        row: Any = session.execute(query).first()
        if row is None:
            return None
        state, operator, trigger, *columns = row
        details = task_details(columns)
        if state != "deferred" or trigger is None or trigger.classpath != CLASS_PATH:
            return FoundTask(details, str(state or ""), str(operator or ""))
        arguments, deferred_at = trigger_arguments(trigger), trigger.created_date.timestamp()
        trigger_id = trigger.id
        session.expunge_all()
    try:
        spec = WaitSpec.from_dict(arguments.get("wait"))
    except TrackingMoreError as error:
        log.warning("Cannot read trigger %d: %s", trigger_id, error)
        return FoundTask(details, str(state), str(operator or ""))
    wait = describe_wait(trigger_id, deferred_at, spec, details)
    return FoundTask(details, str(state), str(operator or ""), StoredWait(wait, spec))
