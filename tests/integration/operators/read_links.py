"""Read the links of a DAG's newest run as the web server does: python read_links.py FILE DAG_ID REPORT.

It reads the serialized DAG, in a process that has no connection to TrackingMore.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def main(file: str, dag_id: str, report: str) -> None:
    from airflow.providers.common.compat.sdk import BaseHook

    def refuse(*_: Any) -> None:
        raise AssertionError("a link has read a connection")

    BaseHook.get_connection = classmethod(refuse)  # type: ignore[assignment]
    Path(report).write_text(json.dumps(links(serialized_dag(file, dag_id), dag_id)))


def serialized_dag(file: str, dag_id: str) -> Any:
    from airflow.serialization import serialized_objects

    names: dict[str, Any] = vars(serialized_objects)
    serialization = names.get("DagSerialization") or names["SerializedDAG"]  # the latter on Airflow 2
    spec = importlib.util.spec_from_file_location(dag_id, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[dag_id] = module
    spec.loader.exec_module(module)
    return serialization.from_dict(json.loads(json.dumps(serialization.to_dict(module.dag))))


def links(dag: Any, dag_id: str) -> dict[str, list[str | None]]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    found = {}
    with create_session() as session:
        instances = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == dag_id)).all()
        newest = max(instance.run_id for instance in instances)
        for instance in instances:
            if instance.run_id == newest:
                name = instance.task_id if instance.map_index < 0 else f"{instance.task_id}[{instance.map_index}]"
                operator = dag.get_task(instance.task_id)
                found[name] = [operator.get_extra_links(instance, f"Shipment {number}") or None for number in (1, 2, 3)]
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
