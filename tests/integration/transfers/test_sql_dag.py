"""The operator in a DAG: templates, the result in XCom and in the asset event, and a refusal in the task's log."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.airflow.conftest import Run, run_dag_file
from tests.integration.transfers.conftest import KEYS

__all__ = ["run_dag_file"]

DAG_FILE = Path(__file__).parent / "dags" / "load_into_sql.py"
PERSON = {
    "customer_name": "Ada Lovelace",
    "customer_email": "ada.lovelace@example.com",
    "customer_phone": "+442079460958",
}


@pytest.fixture(scope="module")
def ran(
    _running: SandboxProcess, run_dag_file: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, Path]:
    folder = tmp_path_factory.mktemp("warehouses")
    _running.reset()
    _running.freeze()
    _running.seed(20, journey="STUCK", ages_days=(2, 3), details=PERSON)
    with closing(sqlite3.connect(folder / "refusing.db")) as connection:
        connection.execute(
            "CREATE TABLE trackingmore_load_state (stream TEXT PRIMARY KEY, account TEXT, sequence INTEGER, "
            "state TEXT CHECK (state NOT LIKE '{%'), schema_version INTEGER, loaded_at TEXT, mark_at TEXT, "
            "cursor_at TEXT, open_shipments INTEGER, views TEXT)"
        )
        connection.commit()
    connections: dict[str, dict[str, Any]] = {
        "trackingmore_default": _running.connection,
        "warehouse": {"conn_type": "sqlite", "host": str(folder / "warehouse.db")},
        "refusing": {"conn_type": "sqlite", "host": str(folder / "refusing.db")},
    }
    return run_dag_file(DAG_FILE, "load_into_sql", connections), folder


def test_templates_are_rendered_and_the_result_is_in_xcom(ran: tuple[Run, Path]) -> None:
    run, folder = ran
    assert (run.state("first"), run.state("second")) == ("success", "success"), run.log
    first, second = run.returned("first"), run.returned("second")
    assert first["rows"]["trackings"] == {"new": 20, "changed": 0, "unchanged": 0}
    assert second["rows"]["trackings"] == {"new": 0, "changed": 0, "unchanged": 20}
    assert (first["stream"], first["target"]["schema"]) == ("load_into_sql", None)
    with closing(sqlite3.connect(folder / "warehouse.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM nightly_trackings").fetchone() == (20,)


def test_the_asset_event_carries_the_result(ran: tuple[Run, Path]) -> None:
    run, _ = ran
    from airflow.settings import Session
    from sqlalchemy import select

    try:
        from airflow.models.asset import AssetEvent as Event
    except ImportError:
        pytest.skip("dag.test() of Airflow 2 registers events only of DAGs that a scheduler has seen")
    with Session() as session:
        extras = [event.extra for event in session.scalars(select(Event).where(Event.source_dag_id == "load_into_sql"))]
    assert [extra["rows"] for extra in extras] == [run.returned("first")["rows"]]


def test_a_refusal_fails_the_task_without_a_value_in_its_log(ran: tuple[Run, Path]) -> None:
    run, _ = ran
    assert run.state("refused") == "failed"
    assert "writing the state in" in run.log
    assert "SQLITE_CONSTRAINT_CHECK" in run.log
    assert [secret for secret in (*PERSON.values(), "Lovelace", *KEYS) if secret in run.log] == []
