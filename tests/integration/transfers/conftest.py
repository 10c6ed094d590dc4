"""A sandbox, an empty database of each kind, and the operator that loads from one to the other."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.transfers.databases import (
    KINDS,
    DuckDBFile,
    MySQLDatabase,
    PostgresDatabase,
    SQLiteFile,
    TestDatabase,
    skip_unless_available,
)

KEYS = ("first-account-0f3b9c", "second-account-77aa01")
WAREHOUSE = "warehouse"


@pytest.fixture(scope="session")
def _running() -> Iterator[SandboxProcess]:
    with SandboxProcess(api_keys=KEYS, no_limits=True, seed=3, pacing="memory") as running:
        yield running


@pytest.fixture
def sandbox(_running: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """Fresh and frozen, ten days ago: a test may let nine days pass, and what it loads is not of the future."""
    _running.reset(start=(datetime.now(UTC) - timedelta(days=10)).isoformat())
    _running.freeze()
    for index, name in enumerate(("TRACKINGMORE_DEFAULT", "TRACKINGMORE_SECOND")):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(_running.connection_for(index)))
    return _running


@pytest.fixture(scope="session")
def _postgres() -> Iterator[Any]:
    from tests.scale.postgres import Postgres

    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def _mariadb() -> Iterator[Any]:
    from tests.scale.mariadb import MariaDB, find_server

    server = find_server()
    if server is None:
        pytest.skip("no MariaDB on this machine: Debian has it in mariadb-server-core and mariadb-client-core")
    with MariaDB(server) as running:
        yield running


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestDatabase:
    kind: str = request.param
    skip_unless_available(kind)
    found: TestDatabase
    if kind == "sqlite":
        found = SQLiteFile(kind, tmp_path)
    elif kind == "duckdb":
        found = DuckDBFile(kind, tmp_path)
    elif kind.startswith("postgres"):
        found = PostgresDatabase(kind, request.getfixturevalue("_postgres"))
        from airflow.providers.postgres.hooks import postgres

        if kind == "postgres-psycopg3" and not postgres.USE_PSYCOPG3:
            pytest.skip("the hook of this Airflow uses psycopg 2")
        monkeypatch.setattr(postgres, "USE_PSYCOPG3", kind == "postgres-psycopg3")
    else:
        found = MySQLDatabase(kind, request.getfixturevalue("_mariadb"))
    monkeypatch.setenv(f"AIRFLOW_CONN_{WAREHOUSE.upper()}", json.dumps(found.connection))
    return found


Load = Callable[..., dict[str, Any]]


@pytest.fixture
def load(sandbox: SandboxProcess) -> Load:
    """Load into the database; what the operator returns has been through JSON."""

    def loaded(**arguments: Any) -> dict[str, Any]:
        from airflow_provider_trackingmore.transfers.trackingmore_to_sql import TrackingMoreToSqlOperator

        operator = TrackingMoreToSqlOperator(task_id="load", **{"sql_conn_id": WAREHOUSE} | arguments)
        execute = inspect.unwrap(type(operator).execute)  # the wrapper of Airflow 2.11 knows one thread only
        result: dict[str, Any] = execute(operator, {})
        assert json.loads(json.dumps(result)) == result, "what is returned survives XCom as it is"
        return result

    return loaded


@pytest.fixture
def calls(sandbox: SandboxProcess) -> Callable[[], int]:
    """How many requests the sandbox has seen since its ledger was cleared."""
    return lambda: int(sandbox.ledger()["requests"])
