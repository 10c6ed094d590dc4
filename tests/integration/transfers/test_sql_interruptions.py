"""Two loads at once, and loads that are killed: the tables hold what the completed loads have written, once."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.exceptions import LoadDatabaseError
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.transfers.trackingmore_to_sql import TrackingMoreToSqlOperator
from tests.integration.transfers.conftest import Load
from tests.integration.transfers.databases import KINDS, TestDatabase
from tests.integration.transfers.killed_load import POINTS
from tests.warm_airflow import WarmAirflow

pytestmark = pytest.mark.slow

ALL_BUT_DUCKDB = [kind for kind in KINDS if kind != "duckdb"]
SCRIPT = Path(__file__).with_name("killed_load.py")
ROOT = Path(__file__).parents[3]
TABLES = ("trackings", "tracking_events", "tracking_status_changes")
SHIPMENTS = 2_050
"""More than a page."""

ONE_DRIVER_EACH = ("sqlite", "duckdb", "postgres-psycopg2", "mysql-mysql-connector-python")


def contents(database: TestDatabase) -> dict[str, Any]:
    """All rows, without the times of loads."""
    if database.kind == "sqlite" and not database.path.exists():  # type: ignore[attr-defined]
        return {}
    of_loads = {"first_seen_at", "changed_at", "last_seen_at", "observed_at"}
    orders = ("", ", event_key", ", observed_at")
    return {
        name: [
            {column: value for column, value in row.items() if column not in of_loads}
            for row in database.table(name, f"account, carrier_code, tracking_number{order}")
        ]
        for name, order in zip(TABLES, orders, strict=True)
    }


def state(database: TestDatabase) -> list[Any]:
    return [row["sequence"] for row in database.rows("SELECT sequence FROM trackingmore_load_state")]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("database", ONE_DRIVER_EACH, indirect=True)
def test_a_load_that_is_killed_leaves_what_the_last_one_has_left(
    point: str, sandbox: SandboxProcess, database: TestDatabase, load: Load, warm_airflow: WarmAirflow
) -> None:
    sandbox.seed(SHIPMENTS, ages_days=(0, 4), carriers=("usps", "dhl"))
    load()
    before, loads = contents(database), state(database)
    sandbox.seed(100, seed=1, ages_days=(0, 1))
    sandbox.advance(days=2)
    killed = warm_airflow.run(str(SCRIPT), point, environment={"PYTHONPATH": str(ROOT)})
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    if point == "it is committed":
        after = contents(database)
        assert state(database) == [2]
    else:
        assert contents(database) == before
        assert state(database) == loads == [1]
        load()
        after = contents(database)
    assert len(after["trackings"]) == SHIPMENTS + 100
    result = load()
    assert contents(database) == after
    assert result["rows"]["trackings"]["new"] == result["rows"]["tracking_events"]["new"] == 0


@pytest.mark.parametrize("database", ONE_DRIVER_EACH, indirect=True)
def test_the_first_load_can_be_killed_too(
    sandbox: SandboxProcess, database: TestDatabase, load: Load, warm_airflow: WarmAirflow
) -> None:
    sandbox.seed(SHIPMENTS, ages_days=(0, 4), carriers=("usps", "dhl"))
    killed = warm_airflow.run(str(SCRIPT), "everything is written", environment={"PYTHONPATH": str(ROOT)})
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    assert not any(contents(database).values())
    assert load()["rows"]["trackings"]["new"] == SHIPMENTS


@pytest.mark.parametrize("database", ALL_BUT_DUCKDB, indirect=True)
def test_two_loads_at_once_take_turns(sandbox: SandboxProcess, database: TestDatabase, load: Load) -> None:
    """Both begin with the same state, and both are to read everything."""
    sandbox.seed(SHIPMENTS, ages_days=(0, 4), journey="STUCK")
    command, environment = [sys.executable, str(SCRIPT)], os.environ | {"PYTHONPATH": str(ROOT)}
    loads = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in loads]
    assert [process.returncode for process in loads] == [0, 0], "\n".join(outputs)
    assert state(database) == [2]
    rows = contents(database)
    assert len(rows["trackings"]) == SHIPMENTS
    assert len(rows["tracking_status_changes"]) == SHIPMENTS
    assert load()["rows"]["trackings"] == {"new": 0, "changed": 0, "unchanged": SHIPMENTS}
    assert contents(database) == rows


@pytest.mark.parametrize("database", [kind for kind in KINDS if kind.startswith("postgres")], indirect=True)
def test_of_two_first_loads_one_waits_for_the_views_of_the_other(
    sandbox: SandboxProcess, database: TestDatabase, load: Load
) -> None:
    """Elsewhere a view is created at once. PostgreSQL refuses the second one when the first one is committed."""
    sandbox.seed(10)
    load()
    (definition,) = database.rows("SELECT pg_get_viewdef('stuck_shipments'::regclass) AS query")
    database.rows("DROP VIEW stuck_shipments")
    results: list[dict[str, Any]] = []
    second = threading.Thread(target=lambda: results.append(load()))
    with database.open() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"CREATE VIEW stuck_shipments AS {definition['query']}")
        second.start()
        deadline = time.monotonic() + 60
        while not database.rows("SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert time.monotonic() < deadline, "the second load does not wait"
            time.sleep(0.05)
        cursor.execute("COMMIT")
    second.join(60)
    assert [result["sequence"] for result in results] == [2]
    database.rows("TABLE stuck_shipments")


@pytest.mark.parametrize("database", ALL_BUT_DUCKDB, indirect=True)
def test_a_load_waits_for_the_end_of_another_and_says_so(
    sandbox: SandboxProcess,
    database: TestDatabase,
    load: Load,
    calls: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox.seed(10)
    load()
    sandbox.clear_ledger()
    lines: list[str] = []
    waits = threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())
            if "waiting" in lines[-1]:
                waits.set()

    log = logging.Logger("of the task")
    log.addHandler(Handler())
    monkeypatch.setattr(TrackingMoreToSqlOperator, "log", log)
    with database.open() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("BEGIN IMMEDIATE" if database.kind == "sqlite" else "BEGIN")
        changed = """REPLACE(state, '"sequence":1', '"sequence":7')"""
        cursor.execute(f"UPDATE trackingmore_load_state SET state = {changed}")
        results: list[dict[str, Any]] = []
        second = threading.Thread(target=lambda: results.append(load()))
        second.start()
        assert waits.wait(60), lines
        assert calls() == 0
        cursor.execute("COMMIT")
    second.join(60)
    assert results[0]["sequence"] == 8
    assert len([line for line in lines if "waiting" in line]) == 1


@pytest.mark.parametrize("database", ["duckdb"], indirect=True)
def test_a_duckdb_file_that_another_process_has_opened_is_an_error_to_retry(
    sandbox: SandboxProcess, database: TestDatabase, load: Load, calls: Callable[[], int]
) -> None:
    sandbox.seed(10)
    load()
    sandbox.clear_ledger()
    script = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(database.path)]  # type: ignore[attr-defined]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(LoadDatabaseError, match="another process has opened the DuckDB file of warehouse"):
            load()
        assert calls() == 0
    assert load()["sequence"] == 2
