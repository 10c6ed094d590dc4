"""How large one wait may be: real deferrals and results in PostgreSQL and MariaDB, and the largest that are stored.

`make test-scale ARGS="-k is_stored"` runs it, and prints the tables of docs/limits.md. Its name keeps it out of
`make test`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

pytestmark = pytest.mark.skipif(__version__.startswith("2."), reason="starts the components of Airflow 3")

DAG_ID = "sizes"
ROOT = Path(__file__).resolve().parents[2]
SHIPMENTS = (1_000, 5_000, 10_000)
START_SECONDS = 300.0
RUN_SECONDS = 900.0
TEXT_BYTES = 65_535
"""The maximum size of a TEXT column in MariaDB and MySQL."""
WARNING_BYTES = 60_000
LARGEST_ALLOWED = 65_000
"""What docs/waiting.md advises for ``max_trigger_bytes`` on MySQL and MariaDB."""
NOTE_EVENTS = {
    "PostgreSQL": """
        CREATE TABLE event_sizes (run_id text, size int);
        CREATE FUNCTION note_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          INSERT INTO event_sizes VALUES (NEW.run_id, length(NEW.next_kwargs::text)); RETURN NULL;
        END $$;
        CREATE TRIGGER note_event AFTER UPDATE OF next_kwargs ON task_instance
          FOR EACH ROW WHEN (NEW.next_kwargs IS NOT NULL) EXECUTE FUNCTION note_event()
    """,
    "MariaDB": """
        CREATE TABLE event_sizes (run_id text, size int);
        CREATE TRIGGER note_event AFTER UPDATE ON task_instance
          FOR EACH ROW INSERT INTO event_sizes VALUES (NEW.run_id, coalesce(length(NEW.next_kwargs), 0))
    """,
}
"""Airflow keeps an event in ``next_kwargs`` until a worker resumes the task."""


@contextmanager
def started_database(kind: str) -> Iterator[tuple[Any, str]]:
    """Start a database server.

    :return: the server, and its address for Airflow.
    """
    if kind == "PostgreSQL":
        from tests.scale.postgres import Postgres

        with Postgres() as postgres:
            yield postgres, f"postgresql+psycopg2{postgres.address}"
    else:
        from tests.scale.mariadb import MariaDB, find_server

        server = find_server()
        if server is None:
            pytest.skip("no MariaDB server: Debian has it in mariadb-server-core and mariadb-client-core")
        with MariaDB(server) as mariadb:
            yield mariadb, f"mysql+pymysql{mariadb.address}"


class Sizes:
    """An Airflow with the DAG, and the sizes of what its database stores."""

    def __init__(self, airflow: Any, database: Any, sandbox: SandboxProcess, kind: str) -> None:
        self.airflow = airflow
        self.database = database
        self.sandbox = sandbox
        self.kind = kind

    def quoted(self, name: str) -> str:
        """Quote a name that is an SQL keyword."""
        return f'"{name}"' if self.kind == "PostgreSQL" else f"`{name}`"

    def value(self, query: str) -> Any:
        rows = self.database.rows(query)
        return rows[0][0] if rows else None

    def state(self, table: str, run_id: str) -> str:
        task = " AND task_id = 'wait'" if table == "task_instance" else ""
        return str(self.value(f"SELECT state FROM {table} WHERE run_id = '{run_id}'{task}"))

    def until(self, table: str, run_id: str, states: set[str]) -> str:
        """Wait until a run, or the sensor in it, has one of these states."""
        until = time.monotonic() + RUN_SECONDS
        while (state := self.state(table, run_id)) not in states:
            self.airflow.check()
            assert time.monotonic() < until, f"{table} is {state}, not {states}\n{self.airflow.tail('scheduler')}"
            time.sleep(0.5)
        return state

    def try_out(self, shipments: int) -> dict[str, Any]:
        """Let a sensor wait for this many shipments, and deliver all of them.

        :return: the stored bytes of its trigger, its event and its result, its log, and its final state.
        """
        from tests.scale.dags.sizes import numbers

        self.sandbox.seed(shipments=numbers(shipments))
        body = {"logical_date": None, "conf": {"shipments": shipments}}
        run_id = str(self.airflow.call("POST", f"dags/{DAG_ID}/dagRuns", body)["dag_run_id"])
        found: dict[str, Any] = {"shipments": shipments}
        if self.until("task_instance", run_id, {"deferred", "failed"}) == "deferred":
            found["trigger"] = self.value(
                f"SELECT length(kwargs) FROM {self.quoted('trigger')} WHERE id ="
                f" (SELECT trigger_id FROM task_instance WHERE run_id = '{run_id}' AND task_id = 'wait')"
            )
            self.sandbox.advance(days=3)
            self.until("dag_run", run_id, {"success", "failed"})
            text = "value::text" if self.kind == "PostgreSQL" else "value"
            result = f"FROM xcom WHERE run_id = '{run_id}' AND {self.quoted('key')} = 'return_value' AND task_id"
            found["result"] = self.value(f"SELECT length({text}) {result} = 'wait'")
            found["event"] = self.value(f"SELECT max(size) FROM event_sizes WHERE run_id = '{run_id}'")
            found["counted"] = self.value(f"SELECT {text} {result} = 'count'")
        found["state"] = self.state("task_instance", run_id)
        folder = self.airflow.home / "logs" / f"dag_id={DAG_ID}" / f"run_id={run_id}" / "task_id=wait"
        found["log"] = "".join(file.read_text(errors="replace") for file in sorted(folder.glob("*.log")))
        return found

    def allow(self, max_trigger_bytes: int) -> None:
        """Set ``[trackingmore] max_trigger_bytes`` for all tasks to come."""
        self.airflow.kill("scheduler")
        self.airflow.start(
            "scheduler", environment={"AIRFLOW__TRACKINGMORE__MAX_TRIGGER_BYTES": str(max_trigger_bytes)}
        )

    def largest(self) -> dict[str, Any]:
        """Run :mod:`tests.scale.largest`."""
        command = [sys.executable, "-m", "tests.scale.largest"]
        asked = subprocess.run(command, env=self.airflow.environment, cwd=ROOT, capture_output=True, text=True)
        assert asked.returncode == 0, asked.stdout + asked.stderr
        found: dict[str, Any] = json.loads(asked.stdout[asked.stdout.rindex('{"waits"') :])
        return found


@contextmanager
def running(folder: Path, kind: str) -> Iterator[Sizes]:
    """Start Airflow with one of the databases."""
    from demo.components import Airflow

    with ExitStack() as stack:
        database, address = stack.enter_context(started_database(kind))
        sandbox = stack.enter_context(SandboxProcess(no_limits=True))
        replacement = str(Path(__file__).with_name("in_place_of_mysqlclient"))
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).with_name("dags")),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address,
            "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "86400",  # its SQL is not MariaDB's, and ends the scheduler
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(sandbox.connection),
            "TRACKINGMORE_PACING_DIR": str(folder / "pacing"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), replacement, os.environ.get("PYTHONPATH", "")]),
        }
        log = stack.enter_context((folder / "log").open("w"))
        airflow = stack.enter_context(Airflow(folder / "airflow", log, settings))
        airflow.wait_for_dag(DAG_ID, START_SECONDS)
        for statement in [NOTE_EVENTS[kind]] if kind == "PostgreSQL" else NOTE_EVENTS[kind].split(";"):
            database.rows(statement)
        yield Sizes(airflow, database, sandbox, kind)


@pytest.mark.parametrize("kind", ["PostgreSQL", "MariaDB"])
def test_a_wait_is_stored_and_ends_or_its_task_fails_and_says_why(kind: str, tmp_path: Path) -> None:
    with running(tmp_path, kind) as sizes:
        tried = [sizes.try_out(shipments) for shipments in SHIPMENTS]
        largest = sizes.largest()
        sizes.allow(LARGEST_ALLOWED)
        per_shipment = tried[0]["trigger"] / tried[0]["shipments"]
        allowed = sizes.try_out(int(0.98 * LARGEST_ALLOWED / per_shipment))
        refused = sizes.try_out(int(1.02 * LARGEST_ALLOWED / per_shipment))
    print(f"\n{kind}\n\n{table([*tried, allowed, refused], largest)}", flush=True)
    for refusal in largest["refusals"].values():
        print(f"\n{refusal}", flush=True)
    for row in [*tried, allowed]:
        if kind == "PostgreSQL" or row["shipments"] <= largest["waits"]["shipments, as it is"]["most"]:
            assert row["state"] == "success"
            assert json.loads(row["counted"]) == {"delivered": row["shipments"], "others": 0}
            assert (f"takes {row['trigger']} bytes" in row["log"]) == (row["trigger"] >= WARNING_BYTES)
        else:
            assert row["state"] == "failed", "not waiting for ever, and no success"
            assert "Value rejected by database" in row["log"]
    assert WARNING_BYTES < allowed["trigger"] <= LARGEST_ALLOWED
    assert refused["state"] == "failed"
    assert f"more than [trackingmore] max_trigger_bytes = {LARGEST_ALLOWED}" in refused["log"]
    assert "trigger" not in refused
    for name, found in largest["waits"].items():
        if kind == "PostgreSQL":
            assert found["all"], name
        else:
            assert 0.97 * TEXT_BYTES <= found["bytes"] <= TEXT_BYTES, name


def table(tried: list[dict[str, Any]], largest: dict[str, Any]) -> str:
    """Return the tables of docs/limits.md for one database, in Markdown."""
    sizes = ("trigger", "event", "result")
    lines = ["| Shipments | Trigger, bytes | Event, bytes | Result, bytes | Ends |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['shipments']:,} | {' | '.join(f'{row[size]:,}' if size in row else '-' for size in sizes)} "
        f"| {row['state']} |"
        for row in tried
    ]
    lines += ["", "| Largest wait | Shipments | Bytes |", "|---|---|---|"]
    lines += [
        f"| {name} | {'more than ' if found['all'] else ''}{found['most']:,} | {found['bytes']:,} |"
        for name, found in largest["waits"].items()
    ]
    xcom = largest["xcom"]
    lines += [f"| XCom | | {'more than ' if xcom['all'] else ''}{xcom['bytes']:,} |"]
    return "\n".join(lines)
