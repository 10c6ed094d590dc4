"""How long a wait occupies a worker slot in each mode, under a real Airflow: scheduler, triggerer, LocalExecutor.

Airflow keeps the start of a task over its deferral, so a task's ``duration`` says little about slots. A trigger in the
metadata database (SQLite's kind) notes each change of state instead; a task has a slot while it is queued or running.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from benchmarks.waiting_plan import TOLERANCE_SECONDS, register_parcels, sum_slot_seconds
from demo.components import Airflow, AirflowError


@dataclass(frozen=True)
class Slots:
    """What one mode took.

    :param waits: how many there were.
    :param succeeded: how many of them succeeded.
    :param duration: real seconds of a wait, from being scheduled to its end, on average.
    :param in_slot: those of them in which it occupied a worker slot.
    :param calls: API calls of a wait.
    """

    waits: int
    succeeded: int
    duration: float
    in_slot: float
    calls: float


TIME_SCALE = 60.0
POKE_SECONDS = 10.0
"""Real seconds, as are the next two."""
FIRST_ARRIVES = 30.0
SPREAD = 30.0
LONGEST_RUN = 240.0
NOTE_STATES = """
CREATE TABLE waiting_states (dag_id TEXT, task TEXT, state TEXT, at REAL);
CREATE TRIGGER note_waiting_states AFTER UPDATE OF state ON task_instance WHEN old.state IS NOT new.state BEGIN
  INSERT INTO waiting_states VALUES (new.dag_id, new.task_id, new.state, (julianday('now') - 2440587.5) * 86400);
END;
"""


def slot_seconds() -> Mapping[str, Slots | str]:
    """Run each mode's DAG, one after the other.

    :return: for each mode what it took, or why it was not run.
    """
    from benchmarks.dags.waiting_modes import MODES, ORDERS, POOL, parcel  # brings Airflow along

    measured: dict[str, Slots | str] = {}
    with (
        tempfile.TemporaryDirectory() as directory,
        SandboxProcess(time_scale=TIME_SCALE, switches={"rate_tolerance": TOLERANCE_SECONDS}) as sandbox,
        (home := Path(directory, "airflow")).with_suffix(".log").open("w", encoding="utf-8") as log,
        Airflow(home, log, _settings(sandbox, home, ORDERS + 2)) as airflow,
    ):
        airflow.wait_for_dag("waiting_poke", 120)
        airflow.call("POST", "pools", {"name": POOL, "slots": 2})
        known = {dag["dag_id"] for dag in airflow.call("GET", "dags")["dags"]}
        with closing(sqlite3.connect(home / "airflow.db", timeout=60)) as database:
            database.executescript(NOTE_STATES)
        for mode in MODES:
            if f"waiting_{mode}" not in known:
                measured[mode] = "the sensor has no such argument here"
                continue
            register_parcels(
                sandbox,
                [parcel(mode, order) for order in range(ORDERS)],
                SPREAD * TIME_SCALE,
                lead=FIRST_ARRIVES * TIME_SCALE,
            )
            _run(airflow, f"waiting_{mode}")
            with closing(sqlite3.connect(home / "airflow.db", timeout=60)) as database:
                changes = database.execute(
                    "SELECT task, state, at FROM waiting_states WHERE dag_id = ? ORDER BY at", (f"waiting_{mode}",)
                ).fetchall()
            began: dict[str, float] = {}
            for task, _, at in changes:
                began.setdefault(task, at)
            durations = [at - began[task] for task, state, at in changes if state == "success"]
            measured[mode] = Slots(
                ORDERS,
                len(durations),
                sum(durations) / max(len(durations), 1),
                sum_slot_seconds(changes) / ORDERS,
                sandbox.ledger()["requests"] / ORDERS,
            )
    return measured


def _settings(sandbox: SandboxProcess, home: Path, slots: int) -> dict[str, str]:
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).with_name("dags")),
        "AIRFLOW__CORE__PARALLELISM": str(slots),
        "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(sandbox.connection),
        "TRACKINGMORE_PACING_DIR": str(home.parent),
        "WAITING_POKE_INTERVAL": str(POKE_SECONDS),
    }


def _run(airflow: Airflow, dag_id: str) -> None:
    run_id = airflow.call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"]
    until = time.monotonic() + LONGEST_RUN
    while time.monotonic() < until:
        airflow.check()
        with contextlib.suppress(AirflowError):  # two dozen tasks that start at once keep the API server busy
            if airflow.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"] in ("success", "failed"):
                return
        time.sleep(1)
    raise AirflowError(f"the run of {dag_id} is not over after {LONGEST_RUN:.0f} s:\n{airflow.tail('scheduler')}")
