"""Tasks that begin and end in the triggerer, under a real scheduler and a real triggerer."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.triggers.shipments import can_end_in_triggerer

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not can_end_in_triggerer(), reason="Airflow can do this from 3.3 on"),
]
DAG_ID = "in_the_triggerer"


class Finished:
    """What came of the run: states, results, and how often a worker ran each task."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with closing(sqlite3.connect(home / "airflow.db")) as database:
            rows = database.execute("SELECT task_id, map_index, state FROM task_instance").fetchall()
            self.states = {(task, index): state for task, index, state in rows}
            values = database.execute(
                "SELECT task_id, map_index, value FROM xcom WHERE key = 'return_value'"
            ).fetchall()
            self.results: dict[tuple[str, int], Any] = {(task, at): json.loads(value) for task, at, value in values}

    def log(self, task: str, index: int = -1) -> str:
        """What workers and the triggerer wrote for a task."""
        files = self.home.glob(f"logs/**/task_id={task}/**/*.log*")
        kept = [file for file in files if index < 0 or f"map_index={index}" in str(file)]
        return "".join(file.read_text() for file in kept if file.is_file())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    from example_dags.demo.components import Airflow

    folder = tmp_path_factory.mktemp("triggerer")
    with SandboxProcess(seed=1, no_limits=True) as sandbox, (folder / "log").open("w") as log:
        sandbox.freeze()
        numbers = [*(f"SBX-DELIVERED-1D-{n}" for n in range(3)), "SBX-EXCEPTION-1D-1", "SBX-STUCK-1"]
        sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": number} for number in numbers])
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(sandbox.connection_for(0)),
            "TRACKINGMORE_PACING_DIR": str(folder / "pace"),
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
        }
        with Airflow(folder / "airflow", log, settings) as airflow:
            airflow.wait_for_dag(DAG_ID, 120)
            run_id = airflow.call("POST", f"dags/{DAG_ID}/dagRuns", {"logical_date": None})["dag_run_id"]
            until = time.monotonic() + 240
            tasks = f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances"
            while airflow.call("GET", f"{tasks}/ends")["state"] != "deferred":
                assert time.monotonic() < until, airflow.tail("scheduler")
                time.sleep(0.2)
            sandbox.advance(days=2)
            while airflow.call("GET", f"dags/{DAG_ID}/dagRuns/{run_id}")["state"] not in ("success", "failed"):
                assert time.monotonic() < until, airflow.tail("scheduler")
                time.sleep(0.5)
        yield Finished(folder / "airflow")


@pytest.mark.parametrize("task", ["ends", "begins"])
def test_the_next_task_gets_a_list_as_from_a_worker(finished: Finished, task: str) -> None:
    assert finished.states[task, -1] == "success"
    assert finished.results[f"look_at_{task}", -1] == ["list", *(f"SBX-DELIVERED-1D-{n}: delivered" for n in range(3))]


def test_the_next_task_can_be_expanded_over_the_result(finished: Finished) -> None:
    assert [finished.results["each", n] for n in range(3)] == [f"SBX-DELIVERED-1D-{n}" for n in range(3)]


def test_mapped_tasks_end_there_too_each_with_its_own_result(finished: Finished) -> None:
    assert [finished.states["mapped", n] for n in range(3)] == ["success"] * 3
    expected = [["list", f"SBX-DELIVERED-1D-{n}: delivered"] for n in range(3)]
    assert [finished.results["look_at_mapped", n] for n in range(3)] == expected


def test_a_wait_that_returns_its_failure_ends_there(finished: Finished) -> None:
    assert finished.states["returned", -1] == "success"
    assert finished.results["look_at_returned", -1] == ["list", "SBX-EXCEPTION-1D-1: exception"]


@pytest.mark.parametrize(
    ("task", "state", "says"),
    [
        ("lost", "failed", "usps SBX-EXCEPTION-1D-1: exception"),
        ("skipped", "skipped", "usps SBX-EXCEPTION-1D-1: exception"),
        ("late", "failed", "time-out of 4 s is over: usps SBX-STUCK-1"),
    ],
)
def test_a_failure_is_shown_in_the_tasks_own_log(finished: Finished, task: str, state: str, says: str) -> None:
    assert finished.states[task, -1] == state
    assert says in finished.log(task)


def test_a_task_without_result_leaves_none(finished: Finished) -> None:
    assert finished.states["without_result", -1] == "success"
    assert ("without_result", -1) not in finished.results


@pytest.mark.parametrize(("task", "looked"), [("ends", True), ("begins", False), ("returned", False)])
def test_only_the_first_look_takes_a_worker(finished: Finished, task: str, looked: bool) -> None:
    log = finished.log(task)
    assert ("Waiting for all of" in log) is looked
    assert "Wait over:" not in log, "a worker would have said so"
