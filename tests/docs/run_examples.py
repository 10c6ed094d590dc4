"""Run DAG files with ``dag.test()`` and record the results: python run_examples.py REPORT FILE..."""

from __future__ import annotations

import importlib.util
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any


def main(report: str, files: list[str]) -> None:
    found = {}
    for file in map(Path, files):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[file.stem] = module
        spec.loader.exec_module(module)
        module.dag.test()
        found[file.stem] = outcome(module.dag.dag_id)
    Path(report).write_text(json.dumps(found))


def outcome(dag_id: str) -> dict[str, dict[str, Any]]:
    """State and returned XCom of each task; the DAG has run once."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.settings import Session
    from sqlalchemy import select

    try:
        from airflow.models.xcom import XComModel as Stored
    except ImportError:  # Airflow 2
        from airflow.models.xcom import BaseXCom as Stored

    with Session() as session:
        states = session.execute(select(TaskInstance.task_id, TaskInstance.state).where(TaskInstance.dag_id == dag_id))
        values = session.execute(
            select(Stored.task_id, Stored.value).where(Stored.dag_id == dag_id, Stored.key == "return_value")
        )
        returned = {task: plain(value) for task, value in values}
        return {task: {"state": state, "returned": returned.get(task)} for task, state in states}


def plain(value: Any) -> Any:
    """Some versions keep JSON in the column as text or bytes; a text that is none is the value itself."""
    if isinstance(value, (str, bytes)):
        with suppress(ValueError):
            return json.loads(value)
    return value


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
