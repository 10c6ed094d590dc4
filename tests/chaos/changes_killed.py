"""Each change of a parcel reaches the DAG, whatever happens to triggerers and to the DAG meanwhile.

`make test-chaos SEEDS="6 7 11"` runs it; its name keeps it out of `make test`. It takes about ten minutes for each
seed, since Airflow has half a minute to store the events of a round. Airflow's database is PostgreSQL.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

pytestmark = pytest.mark.skipif(__version__.startswith("2."), reason="asset watchers came with Airflow 3.0")

ROOT = Path(__file__).resolve().parents[2]
DAG_ID = "record_changes"
SEEDS = [int(seed) for seed in os.environ.get("CHAOS_SEEDS", "6 7 11").split()]
BOUND = 300.0
"""Seconds that a phase may take."""
MANY = 10_000
STARTED = 120
SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "4",
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
}
TABLES = "CREATE TABLE received (id TEXT, number TEXT, previous TEXT, status TEXT, sequence INTEGER, run TEXT)"


class Watching:
    """A whole Airflow that watches an account, and what its DAG has received."""

    def __init__(self, airflow: Any, sandbox: SandboxProcess, received: Path, seed: int) -> None:
        self.airflow = airflow
        self.sandbox = sandbox
        self.received = received
        self.rng = random.Random(seed)
        self.began = time.monotonic()
        self.triggerers = ["triggerer"]

    def echo(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:5.1f} s] {text}", flush=True)

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.received, timeout=60)) as database:
            return database.execute(query).fetchall()

    def newest(self) -> dict[str, str]:
        """The newest status of each parcel as the DAG has received it."""
        return dict(self.rows("SELECT number, status FROM received ORDER BY sequence"))

    def actual(self) -> dict[str, str]:
        return {parcel["tracking_number"]: parcel["status"] for parcel in self.sandbox.trackings()}

    def until_all_is_received(self, phase: str) -> None:
        """Wait until the DAG knows the status of every parcel."""
        began, actual = time.monotonic(), self.actual()

        def missing() -> int:
            newest = self.newest()
            return sum(newest.get(number) != status for number, status in actual.items())

        self.until(lambda: not missing(), lambda: f"{phase}: {missing()} of {len(actual)} parcels are missing")
        self.echo(f"{phase}: all is received after {time.monotonic() - began:.1f} s; {self.describe()}")

    def until(self, condition: Callable[[], object], problem: Callable[[], str]) -> None:
        deadline = time.monotonic() + BOUND
        while not condition():
            self.airflow.check()
            assert time.monotonic() < deadline, f"{problem()}\n{self.airflow.tail(self.triggerers[-1])}"
            time.sleep(0.5)

    def describe(self) -> str:
        (total, distinct, runs), *_ = self.rows(
            "SELECT count(*), count(DISTINCT id), count(DISTINCT run) FROM received"
        )
        return f"{total} changes in {runs} runs, {total - distinct} of them doubles"

    def kill(self, name: str) -> None:
        self.airflow.kill(name)
        self.triggerers.remove(name)
        self.echo(f"killed: {name}")

    def start(self, name: str) -> None:
        self.airflow.start("triggerer", name=name)
        self.triggerers.append(name)
        self.echo(f"started: {name}")

    def pause(self, paused: bool) -> None:
        self.airflow.call("PATCH", f"dags/{DAG_ID}", {"is_paused": paused})
        self.echo("paused" if paused else "unpaused")

    def advance(self, **duration: float) -> None:
        before = self.actual()
        self.sandbox.advance(**duration)
        changed = sum(before.get(number) != status for number, status in self.actual().items())
        self.echo(f"{changed} parcels change")

    def wait(self, max_seconds: float) -> None:
        time.sleep(self.rng.uniform(0, max_seconds))


def shipments(rng: random.Random, number: int, prefix: str) -> list[dict[str, Any]]:
    journeys = [f"DELIVERED-{days}D" for days in range(1, 9)] + ["EXCEPTION-2D", "STUCK"]
    return [
        {"carrier_code": "usps", "tracking_number": f"SBX-{rng.choice(journeys)}-{prefix}{serial}", "age_hours": 1}
        for serial in range(number)
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_each_change_reaches_the_dag(seed: int, tmp_path: Path) -> None:
    from demo.components import Airflow
    from tests.scale.postgres import Postgres

    received = tmp_path / "received.db"
    with closing(sqlite3.connect(received)) as database, database:
        database.execute(TABLES)
    rng = random.Random(seed)
    with ExitStack() as stack:
        key = secrets.token_hex(20)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        sandbox = stack.enter_context(SandboxProcess(api_keys=[key], start=started, seed=seed, no_limits=True))
        sandbox.freeze()
        sandbox.seed(shipments=shipments(rng, STARTED, "A"))
        database_server = stack.enter_context(Postgres())
        settings = SETTINGS | {
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2{database_server.address}",
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(sandbox.connection_for(0)),
            "RECEIVED": str(received),
            "TRACKINGMORE_PACING_DIR": str(tmp_path / "pace"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }
        log = stack.enter_context((tmp_path / "log").open("w"))
        airflow = stack.enter_context(Airflow(tmp_path / "airflow", log, settings))
        airflow.wait_for_dag(DAG_ID, 300)
        watching = Watching(airflow, sandbox, received, seed)
        run_phases(watching, rng)
        check_doubles(watching)
        assert key not in (tmp_path / "log").read_text(errors="replace")


def run_phases(watching: Watching, rng: random.Random) -> None:
    watching.until_all_is_received("first start")

    watching.advance(days=2)
    watching.wait(8)
    watching.kill("triggerer")
    watching.advance(hours=12)
    watching.start("second triggerer")
    watching.until_all_is_received("killed and started again")

    watching.start("third triggerer")
    watching.wait(5)
    watching.advance(days=1)
    watching.wait(8)
    watching.kill("second triggerer")
    watching.until_all_is_received("taken over by another triggerer")

    watching.advance(days=1)
    watching.wait(8)
    watching.pause(True)
    watching.wait(8)
    watching.advance(days=1)
    watching.wait(20)
    watching.pause(False)
    watching.until_all_is_received("paused and unpaused")

    watching.sandbox.seed(shipments=shipments(rng, MANY, "B"))
    watching.echo(f"{MANY} parcels are registered")
    sent = "SELECT count(*) FROM received"
    before = watching.rows(sent)[0][0]
    with contextlib.suppress(AssertionError):  # or before any of them was received
        watching.until(lambda: watching.rows(sent)[0][0] > before, lambda: "nothing")
    watching.wait(5)
    watching.kill("third triggerer")
    watching.start("fourth triggerer")
    watching.until_all_is_received("ten thousand at once, and killed")
    watching.advance(days=3)
    watching.until_all_is_received("and their next changes")


def check_doubles(watching: Watching) -> None:
    """What is received twice has the same id: no parcel here makes the same change twice."""
    found = watching.rows("SELECT DISTINCT id, number, previous, status FROM received")
    several = Counter((number, previous, status) for _, number, previous, status in found)
    assert {what: count for what, count in several.items() if count > 1} == {}
    watching.echo(watching.describe())
