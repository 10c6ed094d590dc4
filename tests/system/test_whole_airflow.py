"""What only a whole Airflow shows: tasks that begin and end in the triggerer, and what a run leaves behind.

Afterwards neither the key nor what the vendor knows of people is anywhere, unless asked for. The connection comes
from the environment, as its documentation advises: Airflow's table of connections stays empty.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
from airflow import __version__

from airflow_provider_trackingmore.client.observer import Gauge
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.triggers.shipments import can_end_in_triggerer
from tests.system.conftest import decode_xcom
from tests.system.dags import in_the_triggerer
from tests.system.dags.leaks import KNOWN, LOST
from tests.system.evidence import Evidence

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(
        __version__.startswith("2."),
        reason="starts the components of Airflow 3; on 2.11 tests/integration look through logs, XCom and events",
    ),
]
PEOPLE = {
    "customer_name": "Wilhelmina Ostrander",
    "customer_email": "w.ostrander@mail.example",
    "customer_phone": "+4915550172839",
    "comment": "leave it with Quentin next door",
    "title": "insulin pump for Wilhelmina",
}
PERSONAL_TEXTS = ["Wilhelmina", "Ostrander", "w.ostrander", "15550172839", "Quentin", "insulin"]
ACCOUNT_TEXTS = ["account-0@", "account-0%40", "10005550000"]
CANARY = str(KNOWN[0]["tracking_number"])


class Finished:
    """What came of a run: states, results, and what was logged."""

    def __init__(self, home: Path, dag_id: str) -> None:
        self.folder = home / "logs" / f"dag_id={dag_id}"
        with closing(sqlite3.connect(home / "airflow.db")) as database:
            rows = database.execute(
                "SELECT task_id, map_index, state FROM task_instance WHERE dag_id = ?", (dag_id,)
            ).fetchall()
            self.states = {(task, index): state for task, index, state in rows}
            values = database.execute(
                "SELECT task_id, map_index, value FROM xcom WHERE key = 'return_value' AND dag_id = ?", (dag_id,)
            ).fetchall()
            self.results: dict[tuple[str, int], Any] = {(task, at): decode_xcom(value) for task, at, value in values}

    def log(self, task: str) -> str:
        """What workers and the triggerer wrote for a task."""
        files = self.folder.glob(f"**/task_id={task}/**/*.log*")
        return "".join(file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file())


@pytest.fixture(scope="module")
def key() -> str:
    return secrets.token_hex(20)


@pytest.fixture(scope="module")
def wrong_key() -> str:
    return secrets.token_hex(20)


@pytest.fixture(scope="module")
def statsd() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        yield server


def finish(airflow: Any, dag_id: str, evidence: Evidence, sandbox: SandboxProcess, waiting: set[str]) -> None:
    """Run a DAG to its end, whichever that is, and look at what is there only meanwhile.

    Two days pass once the tasks of ``waiting`` have been deferred.
    """
    run_id = airflow.call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"]
    run = f"dags/{dag_id}/dagRuns/{run_id}"
    until = time.monotonic() + 600
    for number in range(10_000):
        airflow.check()
        evidence.record_processes()
        evidence.dump_database(f"during {dag_id} {number}")
        evidence.take_metrics()
        if airflow.call("GET", run)["state"] in ("success", "failed"):
            return
        tasks = airflow.call("GET", f"{run}/taskInstances")["task_instances"]
        if waiting and waiting <= {task["task_id"] for task in tasks if task["state"] == "deferred"}:
            sandbox.advance(days=2)
            waiting = set()
        assert time.monotonic() < until, airflow.tail("scheduler")
        time.sleep(0.5)


class Ran(NamedTuple):
    """What came of the three DAGs."""

    ends: Finished
    kept: Evidence
    asked: Evidence


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, key: str, wrong_key: str, statsd: socket.socket) -> Ran:
    """Tasks that end in the triggerer, then everything, then a task that asks for the vendor's record."""
    from demo.components import Airflow

    folder = tmp_path_factory.mktemp("whole")
    kept, asked = Evidence(folder, statsd), Evidence(folder, statsd)
    with SandboxProcess(api_keys=[key], seed=1, no_limits=True) as sandbox, (folder / "output").open("w") as log:
        sandbox.freeze()
        connection = sandbox.connection_for(0)
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
            "AIRFLOW__CORE__FERNET_KEY": "",  # arguments of triggers are in the database in clear
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(statsd.getsockname()[1]),
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(connection),
            "AIRFLOW_CONN_WRONG_KEY": json.dumps(connection | {"password": wrong_key}),
            "TRACKINGMORE_PACING_DIR": str(folder / "pace"),
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
        }
        with Airflow(folder / "airflow", log, settings) as airflow:
            if can_end_in_triggerer():
                sandbox.seed(shipments=in_the_triggerer.SOON + in_the_triggerer.LOST + in_the_triggerer.LATE)
                airflow.wait_for_dag("in_the_triggerer", 300)
                finish(airflow, "in_the_triggerer", kept, sandbox, {"ends", "mapped"})
            sandbox.seed(shipments=[parcel | PEOPLE for parcel in KNOWN + LOST])
            sandbox.seed(count=1)
            airflow.wait_for_dag("leaks", 300)
            finish(airflow, "leaks", kept, sandbox, {"deferred", "ended", "lost"})
            kept.dump_database("after leaks")
            log.flush()
            kept.collect_files("after leaks")
            airflow.wait_for_dag("leaks_on_request", 300)
            finish(airflow, "leaks_on_request", asked, sandbox, set())
        log.flush()
        asked.dump_database("at the end")
        asked.collect_files("at the end")
    return Ran(Finished(folder / "airflow", "in_the_triggerer"), kept, asked)


@pytest.fixture
def finished(ran: Ran) -> Finished:
    """The run of the tasks that begin or end in the triggerer."""
    if not can_end_in_triggerer():
        pytest.skip("Airflow can do this from 3.3 on")
    return ran.ends


@pytest.fixture
def kept(ran: Ran) -> Evidence:
    return ran.kept


@pytest.fixture
def asked(ran: Ran) -> Evidence:
    return ran.asked


def test_the_run_did_what_it_was_to_do(kept: Evidence) -> None:
    states = Finished(kept.home, "leaks").states
    assert {task for (task, _), state in states.items() if state != "success"} == {"missing", "wrong_key", "lost"}


@pytest.mark.parametrize(
    "place",
    ["table xcom", "table rendered_task_instance_fields", "table trigger", "table serialized_dag", "file airflow/logs"],
)
def test_the_search_would_have_found_something_there(kept: Evidence, place: str) -> None:
    assert [found for found in kept.holding(CANARY) if found.startswith(place)]


def test_the_search_has_seen_all_components_and_the_pacing_file(kept: Evidence) -> None:
    arguments = "\n".join(kept.processes)
    for component in ("scheduler", "triggerer", "api", "dag-processor", "LocalExecutor", "sandbox"):
        assert component in arguments
    assert [place for place in kept.texts if place.startswith("file pace/")]
    assert [place for place in kept.texts if place.startswith("file output")]


def test_workers_and_the_triggerer_send_their_metrics(kept: Evidence) -> None:
    pytest.importorskip("statsd")
    sent = set(re.findall(r"airflow\.trackingmore\.([a-z_.]+):", kept.texts["metrics"].decode()))
    assert sent >= {"requests", "slot_wait", "exchange", *get_args(Gauge), "waits.late"} - {"changes.failed_rounds"}


def test_the_key_is_nowhere(kept: Evidence, asked: Evidence, key: str, wrong_key: str) -> None:
    forms = [form for secret in (key, wrong_key) for form in (secret, base64.b64encode(secret.encode()).decode()[:-4])]
    assert kept.holding(*forms) == []
    assert asked.holding(*forms) == []


def test_what_the_vendor_knows_of_people_is_nowhere(kept: Evidence) -> None:
    assert kept.holding(*PERSONAL_TEXTS) == []


def test_address_and_phone_of_the_account_are_nowhere(kept: Evidence) -> None:
    assert kept.holding(*ACCOUNT_TEXTS) == []


def test_the_record_that_was_asked_for_is_where_airflow_puts_xcoms_and_nowhere_else(asked: Evidence) -> None:
    places = {place.split(" ")[1].removesuffix("-wal") for place in asked.holding(*PERSONAL_TEXTS)}
    # At DEBUG, which this run has, Airflow 3.3 prints every XCom that a task leaves in the output of the component.
    assert places - {"output"} == {"xcom", "airflow/airflow.db"}


# In the triggerer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["ends", "begins"])
def test_the_next_task_gets_a_list_as_from_a_worker(finished: Finished, task: str) -> None:
    assert finished.states[task, -1] == "success"
    assert finished.results[f"result_of_{task}", -1] == [
        "list",
        *(f"SBX-DELIVERED-1D-{n}: delivered" for n in range(3)),
    ]


def test_the_next_task_can_be_expanded_over_the_result(finished: Finished) -> None:
    assert [finished.results["each", n] for n in range(3)] == [f"SBX-DELIVERED-1D-{n}" for n in range(3)]


def test_mapped_tasks_end_there_too_each_with_its_own_result(finished: Finished) -> None:
    assert [finished.states["mapped", n] for n in range(3)] == ["success"] * 3
    expected = [["list", f"SBX-DELIVERED-1D-{n}: delivered"] for n in range(3)]
    assert [finished.results["result_of_mapped", n] for n in range(3)] == expected


def test_a_wait_that_returns_its_failure_ends_there(finished: Finished) -> None:
    assert finished.states["returned", -1] == "success"
    assert finished.results["result_of_returned", -1] == ["list", "SBX-EXCEPTION-1D-1: exception"]


@pytest.mark.parametrize(
    ("task", "state", "says"),
    [
        ("lost", "failed", "usps SBX-EXCEPTION-1D-1: exception"),
        ("skipped", "skipped", "usps SBX-EXCEPTION-1D-1: exception"),
        ("late", "failed", "Timed out after 4 s: usps SBX-STUCK-1"),
    ],
)
def test_a_failure_is_shown_in_the_tasks_own_log(finished: Finished, task: str, state: str, says: str) -> None:
    assert finished.states[task, -1] == state
    assert says in finished.log(task)


def test_a_task_without_result_leaves_none(finished: Finished) -> None:
    assert finished.states["without_result", -1] == "success"
    assert ("without_result", -1) not in finished.results


@pytest.mark.parametrize(("task", "is_checked_by_worker"), [("ends", True), ("begins", False), ("returned", False)])
def test_only_the_first_check_takes_a_worker(finished: Finished, task: str, is_checked_by_worker: bool) -> None:
    log = finished.log(task)
    assert ("Waiting for all of" in log) is is_checked_by_worker
    assert "Wait over:" not in log, "a worker would have said so"
