"""``load``: what it says that it would request, what it writes, and how it ends."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.warm_airflow import WarmAirflow

from .conftest import Ended, Program
from .test_airflow import in_warm_airflow

SHIPMENTS = 45
TABLES = ["trackings", "tracking_events", "tracking_status_changes"]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.db"


@pytest.fixture
def program(
    program: Program, database: Path, trackingmore_sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> Program:
    """The program with 45 shipments that were registered ten days ago; two of them are delivered."""
    trackingmore_sandbox.reset(start=(datetime.now(UTC) - timedelta(days=10)).isoformat())
    trackingmore_sandbox.freeze()
    numbers = ["SBX-DELIVERED-1D-1", "SBX-DELIVERED-1D-2", *(f"SBX-PENDING-{n}" for n in range(SHIPMENTS - 2))]
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "ups", "tracking_number": number} for number in numbers])
    trackingmore_sandbox.advance(days=5)
    program.environment["AIRFLOW_CONN_WAREHOUSE"] = json.dumps({"conn_type": "sqlite", "host": str(database)})
    program.environment["AIRFLOW_CONN_TRACKINGMORE_DEFAULT"] = json.dumps(trackingmore_sandbox.connection)
    monkeypatch.delenv("TRACKINGMORE_API_KEY", raising=False)
    del program.environment["TRACKINGMORE_API_KEY"]
    return program


Load = Callable[..., Ended]


@pytest.fixture
def load(program: Program, warm_airflow: WarmAirflow) -> Load:
    """Run ``load`` in a process that has imported Airflow already."""

    def run(*arguments: str, **environment: str) -> Ended:
        done = warm_airflow.run(
            *("-m", "airflow_provider_trackingmore", "load", *arguments),
            environment=program.environment | environment,
            cwd=program.directory,
            separate=True,
        )
        return program.ended(done.returncode, done.stdout, done.stderr)

    return run


def rows(database: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(statement).fetchall()


def requests(sandbox: SandboxProcess) -> int:
    """How many requests there were since the last call."""
    number = int(sandbox.ledger()["requests"])
    sandbox.clear_ledger()
    return number


@pytest.mark.parametrize("target", [("sql", "warehouse"), ("files", "lake")], ids=["sql", "files"])
def test_without_yes_it_says_what_it_would_request_and_writes_nothing(
    program: Program, database: Path, target: tuple[str, str], trackingmore_sandbox: SandboxProcess
) -> None:
    before = sorted(program.directory.iterdir())
    ended = program("load", *target)
    assert ended.code == 0, ended.err
    assert ended.rows == [{"request": "registered", "since": None, "shipments": SHIPMENTS, "calls": 1}]
    assert f"Target: {' '.join(target)}; stream trackingmore_default: the first load\n" in ended.err
    assert ended.err.endswith("It would take 1 call, and no quota.\nNothing was loaded. --yes loads.\n")
    assert ("Tables that it would create: trackings, tracking_events" in ended.err) is (target[0] == "sql")
    created = {path.name for path in program.directory.iterdir()} - {path.name for path in before}
    assert not created & {"warehouse.db", "lake"}
    (call,) = trackingmore_sandbox.calls()
    assert (call["path"], call["query"]["limit"]) == ("/trackings/get", "1")


@pytest.mark.parametrize("target", [("sql", "warehouse"), ("files", "lake")], ids=["sql", "files"])
@pytest.mark.parametrize("options", [(), ("--max-open", "0d"), ("--full-refresh",)], ids=["plain", "by number", "all"])
def test_a_load_takes_the_calls_that_were_announced(
    load: Load, target: tuple[str, str], options: tuple[str, ...], trackingmore_sandbox: SandboxProcess
) -> None:
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "dhl", "tracking_number": "SBX-PENDING-LATER"}])
    first = load(*target, *options, "--yes")
    assert (first.code, [row["table"] for row in first.rows]) == (0, TABLES), first.err
    assert first.rows[0] == {"table": "trackings", "new": SHIPMENTS + 1, "changed": 0, "unchanged": 0}
    assert f"Load 1 of stream trackingmore_default: 1 call, {SHIPMENTS - 1} open shipments\n" in first.err
    requests(trackingmore_sandbox)

    plan = load(*target, *options)
    assert "stream trackingmore_default: load 2, 44 open shipments\n" in plan.err
    assert requests(trackingmore_sandbox) == len([row for row in plan.rows if row["request"] != "by number"])
    by_number = [(row["shipments"], row["calls"]) for row in plan.rows if row["request"] == "by number"]
    assert by_number == ([(SHIPMENTS - 2, 2)] if options == ("--max-open", "0d") else [])

    second = load(*target, *options, "--yes")
    announced = sum(row["calls"] for row in plan.rows)
    assert requests(trackingmore_sandbox) == announced
    assert f"Load 2 of stream trackingmore_default: {announced} calls" in second.err or announced == 1
    assert [row["new"] for row in second.rows] == [0, 0, 0]


def test_it_goes_on_where_the_operator_has_ended(
    program: Program, load: Load, database: Path, monkeypatch: pytest.MonkeyPatch, trackingmore_sandbox: SandboxProcess
) -> None:
    from airflow_provider_trackingmore.transfers.trackingmore_to_sql import TrackingMoreToSqlOperator

    for name in ("AIRFLOW_CONN_WAREHOUSE", "AIRFLOW_CONN_TRACKINGMORE_DEFAULT"):
        monkeypatch.setenv(name, program.environment[name])
    filters = {"created_at_min": "2026-01-01T00:00:00+00:00", "archived": False}
    TrackingMoreToSqlOperator(task_id="load", sql_conn_id="warehouse", filters=filters).execute({})
    trackingmore_sandbox.seed(shipments=[{"carrier_code": "dhl", "tracking_number": "SBX-PENDING-LATER"}])

    typed = ("--filter", "archived=false", "--filter", "created_at_min=2026-01-01T00:00:00Z", "--output", "csv")
    ended = load("sql", "warehouse", *typed, "--yes")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[:2] == ["table,new,changed,unchanged", f"trackings,1,0,{SHIPMENTS}"]
    assert rows(database, "SELECT account, sequence FROM trackingmore_load_state") == [("trackingmore_default", 2)]


def test_it_goes_on_in_the_tables_of_the_operator(
    program: Program, load: Load, database: Path, monkeypatch: pytest.MonkeyPatch, trackingmore_sandbox: SandboxProcess
) -> None:
    from airflow_provider_trackingmore.transfers.trackingmore_to_sql import TrackingMoreToSqlOperator

    for name in ("AIRFLOW_CONN_WAREHOUSE", "AIRFLOW_CONN_TRACKINGMORE_DEFAULT"):
        monkeypatch.setenv(name, program.environment[name])
    names = {"trackings_table": "t", "events_table": "e", "changes_table": "c", "state_table": "s"}
    arguments: dict[str, Any] = {**names, "create_views": False, "mark_missing": False}
    TrackingMoreToSqlOperator(task_id="load", sql_conn_id="warehouse", **arguments).execute({})
    trackingmore_sandbox.delete("ups", "SBX-PENDING-1")

    typed = [f"--{name.replace('_', '-')}={value}" for name, value in names.items()]
    ended = load("sql", "warehouse", *typed, "--no-create", "--no-mark-missing", "--yes")
    assert ended.code == 0, ended.err
    assert next(row["unchanged"] for row in ended.rows) == SHIPMENTS - 1
    assert rows(database, "SELECT sequence FROM s") == [(2,)]
    assert rows(database, "SELECT COUNT(*), COUNT(missing_since) FROM t") == [(SHIPMENTS, 0)]
    assert rows(database, "SELECT name FROM sqlite_master WHERE type = 'view'") == []
    refused = load("sql", "warehouse", *typed[:3], "--no-create", "--yes")
    assert refused.code == 2
    assert "state_table" in refused.err


def test_it_goes_on_with_the_files_of_the_operator(load: Load, program: Program) -> None:
    first = load("files", "lake", "--tables", "trackings,tracking_events", "--yes")
    assert [row["table"] for row in first.rows] == TABLES[:2]
    assert load("files", "lake", "--yes").code == 2, "the third table would begin in the middle"
    mistyped = load("files", "lake", "--tables", "trackings,tracking_event")
    assert (mistyped.code, "did you mean 'tracking_events'" in mistyped.err) == (2, True), mistyped.err
    again = load("files", "lake", "--tables", "trackings,tracking_events", "--yes")
    assert [row["new"] for row in again.rows] == [0, 0]


def test_the_view_of_promised_dates_is_created(load: Load, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE promises (order_id TEXT PRIMARY KEY, promised_at TEXT)")
    assert load("sql", "warehouse", "--promised-table", "promises", "--yes").code == 0
    assert rows(database, "SELECT COUNT(*) FROM on_time") == [(0,)]


def test_names_of_people_and_texts_are_loaded_only_as_asked(
    load: Load, database: Path, trackingmore_sandbox: SandboxProcess
) -> None:
    shipment = {"carrier_code": "dhl", "tracking_number": "SBX-DELIVERED-1D-9", "customer_name": "Grace Hopper"}
    trackingmore_sandbox.seed(shipments=[shipment])
    trackingmore_sandbox.advance(days=3)
    where = "WHERE carrier_code = 'dhl'"
    load("sql", "warehouse", "--yes", "--event-texts", "drop")
    assert rows(database, f"SELECT customer_name, raw FROM trackings {where}") == [(None, None)]
    assert rows(database, f"SELECT DISTINCT description FROM tracking_events {where}") == [(None,)]
    load("sql", "warehouse", "--yes", "--full-refresh", "--include-personal-data", "--include-raw")
    ((name, raw),) = rows(database, f"SELECT customer_name, raw FROM trackings {where}")
    assert name == json.loads(raw)["customer_name"] == "Grace Hopper"
    assert (None,) not in rows(database, f"SELECT description FROM tracking_events {where}")


def test_a_dry_run_waits_for_no_load_and_holds_none_up(load: Load, database: Path) -> None:
    load("sql", "warehouse", "--yes")
    content = database.read_bytes()
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # as a load does
        ended = load("sql", "warehouse")
        other.execute("ROLLBACK")
    assert ended.code == 0, ended.err
    assert database.read_bytes() == content


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (["sql", "nowhere"], 3, "Airflow has no connection 'nowhere'"),
        (["sql", "web"], 2, "of the type 'http', to which loads cannot write"),
        (["sql", "text"], 5, "the file is not a SQLite database"),
        (["sql", "lost"], 5, "the connection lost cannot be opened"),
        (["sql", "warehouse", "--schema", "a.b"], 2, "schema must be a name"),
        (["sql", "warehouse", "--file-format", "parquet"], 2, "--file-format is for files, not for databases"),
        (["files", "lake", "--schema", "x"], 2, "--schema is for databases, not for files"),
        (["files", "lake", "--no-create"], 2, "--no-create is for databases, not for files"),
        (["sql", "warehouse", "--tables", "trackings"], 2, "--tables is for files, not for databases"),
        (["sql", "warehouse", "--state-table", "trackings"], 2, "the name trackings is used twice"),
        (["files", "nosuch://lake"], 2, "cannot be opened"),
        (["files", ""], 2, "path must be a folder"),
        (["sql", "warehouse", "--filter", "sttaus=delivered"], 2, "unknown filter 'sttaus'"),
        (
            ["sql", "warehouse", "--filter", "update_time_min=2026-01-01T00:00Z"],
            2,
            "filters cannot contain",
        ),
        (["sql", "warehouse", "--fields", "new"], 2, "load without --yes has no field 'new'"),
        (["sql", "warehouse", "--account", " "], 2, "--account must be a text of 1 to 250 characters"),
    ],
)
def test_a_mistake_ends_before_any_call(
    program: Program,
    load: Load,
    typed: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    trackingmore_sandbox: SandboxProcess,
) -> None:
    (tmp_path / "text.db").write_text("Not a database, but a text of some length. " * 20)
    for name, host in (("TEXT", tmp_path / "text.db"), ("LOST", tmp_path / "no" / "such.db")):
        program.environment[f"AIRFLOW_CONN_{name}"] = json.dumps({"conn_type": "sqlite", "host": str(host)})
    program.environment["AIRFLOW_CONN_WEB"] = "http://example.invalid"
    ended = load(*typed)
    assert (ended.code, ended.out) == (code, ""), ended.err
    assert said in ended.err
    assert ended.err.startswith("trackingmore: ")
    assert ended.err.count("\n") == 1
    assert trackingmore_sandbox.calls() == []


@pytest.mark.parametrize("yes", [(), ("--yes",)], ids=["dry run", "load"])
def test_a_damaged_state_ends_with_2(load: Load, database: Path, yes: tuple[str, ...]) -> None:
    load("sql", "warehouse", "--yes")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE trackingmore_load_state SET state = '{}'")
    ended = load("sql", "warehouse", *yes)
    assert (ended.code, ended.out) == (2, "")
    assert "The state of this load is damaged" in ended.err


def test_a_key_from_the_environment_needs_a_name_for_the_account(
    load: Load, database: Path, trackingmore_sandbox: SandboxProcess
) -> None:
    key = trackingmore_sandbox.api_key
    ended = load("sql", "warehouse", TRACKINGMORE_API_KEY=key)
    assert (ended.code, ended.out) == (2, "")
    assert "--account is needed with TRACKINGMORE_API_KEY" in ended.err
    trackingmore_sandbox.fault("503")
    ended = load("sql", "warehouse", "--account", "shop", "--yes", TRACKINGMORE_API_KEY=key)
    assert (ended.code, len(ended.rows)) == (0, 3)
    repeated, _ = ended.err.splitlines()
    assert "answered 503" in repeated, "messages are shown although Airflow has set up its logging in the meantime"
    assert rows(database, "SELECT DISTINCT account FROM trackings") == [("shop",)]


def test_a_service_that_fails_ends_with_5_and_leaves_the_last_load(
    program: Program, database: Path, trackingmore_sandbox: SandboxProcess
) -> None:
    program("load", "sql", "warehouse", "--yes")
    before = [rows(database, f"SELECT * FROM {table}") for table in ("trackings", "trackingmore_load_state")]
    trackingmore_sandbox.advance(days=1)
    trackingmore_sandbox.fault("500", count=None, nth=2)
    connection = trackingmore_sandbox.connection
    once = json.dumps({**connection, "extra": {**connection["extra"], "max_attempts": 1}})
    ended = program("load", "sql", "warehouse", "--yes", AIRFLOW_CONN_TRACKINGMORE_DEFAULT=once)
    assert (ended.code, ended.out) == (5, "")
    assert ended.err.splitlines()[-1].startswith("trackingmore: GET /trackings/get: TrackingMore answered 500")
    assert before == [rows(database, f"SELECT * FROM {table}") for table in ("trackings", "trackingmore_load_state")]


@pytest.mark.usefixtures("airflow_database")
def test_the_target_may_be_a_connection_of_airflows_database(
    program: Program, database: Path, warm_airflow: WarmAirflow
) -> None:
    connection = program.environment.pop("AIRFLOW_CONN_WAREHOUSE")
    added = in_warm_airflow(program, warm_airflow, "connections", "add", "stored_warehouse", "--conn-json", connection)
    assert added.code == 0, added.err
    ended = program("load", "sql", "stored_warehouse", "--yes")
    assert ended.code == 0, ended.err
    assert ended.err.count("\n") == 1
    assert rows(database, "SELECT COUNT(*) FROM trackings") == [(SHIPMENTS,)]
    assert in_warm_airflow(program, warm_airflow, "connections", "delete", "stored_warehouse").code == 0
