"""Run a DAG with ``dag.test()`` and record the result: python run_dag.py FILE DAG_ID REPORT."""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def main(file: str, dag_id: str, report: str) -> None:
    spec = importlib.util.spec_from_file_location(dag_id, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[dag_id] = module
    spec.loader.exec_module(module)
    patch_airflow_3()
    module.dag.test()
    Path(report).write_text(json.dumps(outcome(dag_id)))


def patch_airflow_3() -> None:
    """Work around defects of ``dag.test()`` in Airflow 3.0 to 3.2, which affect every DAG and would hide ours."""
    from datetime import datetime

    try:
        from airflow.sdk.execution_time import supervisor
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    except ImportError:  # Airflow 2
        return
    # Up to 3.2, each try of each task creates its own web server, which takes seconds.
    supervisor.in_process_api_server = functools.cache(supervisor.in_process_api_server)
    # 3.0 passes the date of the first rescheduling as text, so that every such sensor fails, even Airflow's own.
    original = RuntimeTaskInstance.get_first_reschedule_date

    def first_reschedule_date(self: Any, context: Any) -> Any:
        date = original(self, context)
        return datetime.fromisoformat(date) if isinstance(date, str) else date

    RuntimeTaskInstance.get_first_reschedule_date = first_reschedule_date  # type: ignore[method-assign]


def outcome(dag_id: str) -> dict[str, dict[str, Any]]:
    """Return state, tries and returned XCom of each task instance of the newest run."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.settings import Session
    from sqlalchemy import select

    try:
        from airflow.models.xcom import XComModel as Stored
    except ImportError:  # Airflow 2
        from airflow.models.xcom import BaseXCom as Stored

    found = {}
    with Session() as session:
        instances = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == dag_id)).all()
        newest = max(instance.run_id for instance in instances)
        for instance in instances:
            if instance.run_id != newest:
                continue
            # The value in the column, since reading it through the model differs between versions.
            value = session.scalar(
                select(Stored.value).where(
                    Stored.dag_id == dag_id,
                    Stored.run_id == newest,
                    Stored.task_id == instance.task_id,
                    Stored.map_index == instance.map_index,
                    Stored.key == "return_value",
                )
            )
            name = instance.task_id if instance.map_index < 0 else f"{instance.task_id}[{instance.map_index}]"
            value = value.decode() if isinstance(value, bytes) else value
            returned = json.loads(value) if isinstance(value, str) else value
            found[name] = {"state": instance.state, "tries": instance.try_number, "returned": returned}
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
