"""Deferred task instances in Airflow's database, for the page's tests and its benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_trackingmore.plugins.task_waits import CLASS_PATH
from airflow_provider_trackingmore.waiting.spec import WaitSpec

BUNDLE = "tests"
SENSOR = "ShipmentDeliveredSensor"


@dataclass
class Row:
    """A task instance.

    :param wait: the arguments of ``WaitSpec.create``; None if it is not deferred with a trigger of this package.
    :param columns: further columns of the task instance.
    """

    dag_id: str
    task_id: str = "wait"
    run_id: str = "manual__2026-11-29T08:00:00+00:00"
    map_index: int = -1
    state: str = "deferred"
    operator: str = SENSOR
    wait: Mapping[str, Any] | None = None
    stored: Mapping[str, Any] | None = None
    class_path: str = CLASS_PATH
    started_at: datetime = datetime(2026, 11, 29, 8, tzinfo=UTC)
    columns: Mapping[str, Any] = field(default_factory=dict)


def insert(rows: Sequence[Row]) -> list[int | None]:
    """Insert task instances with their DAGs, runs and triggers.

    :param rows: the task instances.
    :return: the id of the trigger of each.
    """
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        if session.get(DagBundleModel, BUNDLE) is None:
            session.add(DagBundleModel(name=BUNDLE))
            session.flush()
        known = set(session.scalars(select(DagModel.dag_id)))
        dag_ids = [dag_id for dag_id in _unique(row.dag_id for row in rows) if dag_id not in known]
        limits = {"max_active_tasks": 16, "max_consecutive_failed_dag_runs": 0, "has_task_concurrency_limits": False}
        _insert(session, DagModel, [{"dag_id": dag_id, "bundle_name": BUNDLE, **limits} for dag_id in dag_ids])
        runs = set(session.execute(select(DagRun.dag_id, DagRun.run_id)).tuples())
        new_runs = [run for run in _unique((row.dag_id, row.run_id) for row in rows) if run not in runs]
        times = {"run_after": rows[0].started_at, "start_date": rows[0].started_at} if rows else {}
        _insert(
            session,
            DagRun,
            [
                {"dag_id": dag, "run_id": run, "run_type": "manual", "state": "running", **times}
                for dag, run in new_runs
            ],
        )
        triggers: list[Trigger | None] = []
        for row in rows:
            stored = row.stored if row.wait is None else WaitSpec.create(**row.wait).to_dict()
            if stored is None:
                triggers.append(None)
                continue
            triggers.append(Trigger(classpath=row.class_path, kwargs={"wait": stored}, created_date=row.started_at))
        session.add_all([trigger for trigger in triggers if trigger is not None])
        session.flush()
        ids = [None if trigger is None else trigger.id for trigger in triggers]
        _insert(
            session,
            TaskInstance,
            [
                {
                    "task_id": row.task_id,
                    "dag_id": row.dag_id,
                    "run_id": row.run_id,
                    "map_index": row.map_index,
                    "pool": "default_pool",
                    "pool_slots": 1,
                    "state": row.state,
                    "operator": row.operator,
                    "start_date": row.started_at,
                    "trigger_id": trigger_id,
                    "rendered_map_index": None,
                    "trigger_timeout": None,
                    **row.columns,
                }
                for row, trigger_id in zip(rows, ids, strict=True)
            ],
        )
        return ids


def clear() -> None:
    """Remove all task instances, triggers, runs and DAGs."""
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        for model in (TaskInstance, Trigger, DagRun, DagModel):
            session.execute(delete(model))


def _insert(session: Any, model: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(model.__table__.insert(), rows)


def _unique(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))
