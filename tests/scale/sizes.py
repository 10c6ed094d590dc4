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
"""What a column of the type TEXT holds in MariaDB and MySQL."""


@contextmanager
def the_database(kind: str) -> Iterator[tuple[Any, str]]:
    """Start a database.

    :return: it, and its address as Airflow takes it.
    """
    if kind == "PostgreSQL":
        from tests.scale.postgres import Postgres

        with Postgres() as postgres:
            yield postgres, f"postgresql+psycopg2{postgres.address}"
    else:
        from tests.scale.mariadb import MariaDB, find_server

        server = find_server()
        if server is None:
            pytest.skip(
                "no MariaDB server: install the package mariadb-server-core (Debian), or put mariadbd on the PATH"
            )
        with MariaDB(server) as mariadb:
            yield mariadb, f"mysql+pymysql{mariadb.address}"


class Sizes:
    """An Airflow with the DAG, and what its database says about sizes."""

    def __init__(self, airflow: Any, database: Any, sandbox: SandboxProcess, kind: str) -> None:
        self.airflow = airflow
        self.database = database
        self.sandbox = sandbox
        self.kind = kind

    def quoted(self, name: str) -> str:
        """A name that is a word of SQL too."""
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
        """Let a sensor wait for so many shipments, all of which are delivered then.

        :return: the bytes stored of its trigger and of its result, and how it ended.
        """
        from tests.scale.dags.sizes import numbers

        self.sandbox.seed(shipments=numbers(shipments))
        body = {"logical_date": None, "conf": {"shipments": shipments}}
        run_id = str(self.airflow.call("POST", f"dags/{DAG_ID}/dagRuns", body)["dag_run_id"])
        found: dict[str, Any] = {"shipments": shipments}
        if self.until("task_instance", run_id, {"deferred", "failed"}) == "deferred":
            found["trigger"] = self.value(f"SELECT max(length(kwargs)) FROM {self.quoted('trigger')}")
            self.sandbox.advance(days=3)
            self.until("dag_run", run_id, {"success", "failed"})
            text = "value::text" if self.kind == "PostgreSQL" else "value"
            result = f"FROM xcom WHERE run_id = '{run_id}' AND {self.quoted('key')} = 'return_value' AND task_id"
            found["result"] = self.value(f"SELECT length({text}) {result} = 'wait'")
            found["counted"] = self.value(f"SELECT {text} {result} = 'count'")
        found["state"] = self.state("task_instance", run_id)
        if found["state"] == "failed":
            found["log"] = self.airflow.task_log_tail(DAG_ID, run_id)
        return found

    def largest(self) -> dict[str, Any]:
        """Ask :mod:`tests.scale.largest`."""
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
        database, address = stack.enter_context(the_database(kind))
        sandbox = stack.enter_context(SandboxProcess(no_limits=True))
        instead = str(Path(__file__).with_name("in_place_of_mysqlclient"))
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).with_name("dags")),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address,
            "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "86400",  # its SQL is not MariaDB's, and ends the scheduler
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(sandbox.connection),
            "TRACKINGMORE_PACING_DIR": str(folder / "pace"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), instead, os.environ.get("PYTHONPATH", "")]),
        }
        log = stack.enter_context((folder / "log").open("w"))
        airflow = stack.enter_context(Airflow(folder / "airflow", log, settings))
        airflow.wait_for_dag(DAG_ID, START_SECONDS)
        yield Sizes(airflow, database, sandbox, kind)


@pytest.mark.parametrize("kind", ["PostgreSQL", "MariaDB"])
def test_a_wait_is_stored_and_ends_or_its_task_fails_and_says_why(kind: str, tmp_path: Path) -> None:
    with running(tmp_path, kind) as sizes:
        tried = [sizes.try_out(shipments) for shipments in SHIPMENTS]
        largest = sizes.largest()
    print(f"\n{kind}\n\n{table(tried, largest)}", flush=True)
    for refused in [*largest["refusals"].values(), *(one["log"] for one in tried if "log" in one)]:
        print(f"\n{refused}", flush=True)
    for one in tried:
        if kind == "PostgreSQL" or one["shipments"] <= largest["waits"]["shipments, as it is"]["most"]:
            assert one["state"] == "success"
            assert json.loads(one["counted"]) == {"delivered": one["shipments"], "others": 0}
        else:
            assert one["state"] == "failed", "not waiting for ever, and no success"
            assert "Value rejected by database" in one["log"]
    for name, found in largest["waits"].items():
        if kind == "PostgreSQL":
            assert found["all"], name
        else:
            assert 0.97 * TEXT_BYTES <= found["bytes"] <= TEXT_BYTES, name


def table(tried: list[dict[str, Any]], largest: dict[str, Any]) -> str:
    """The tables of docs/limits.md, in Markdown, for one database."""
    lines = ["| Shipments in one wait | Stored trigger, bytes | Result, bytes | Ends |", "|---|---|---|---|"]
    lines += [
        f"| {one['shipments']:,} | {one.get('trigger') or '-'} | {one.get('result') or '-'} | {one['state']} |"
        for one in tried
    ]
    lines += ["", "| Largest wait | Shipments | Bytes |", "|---|---|---|"]
    lines += [
        f"| {name} | {'more than ' if found['all'] else ''}{found['most']:,} | {found['bytes']:,} |"
        for name, found in largest["waits"].items()
    ]
    xcom = largest["xcom"]
    lines += [f"| XCom | | {'more than ' if xcom['all'] else ''}{xcom['bytes']:,} |"]
    return "\n".join(lines)
