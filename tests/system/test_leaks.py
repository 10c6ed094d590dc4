"""After a run of a whole Airflow neither the key nor what the vendor knows of people is anywhere, unless asked for.

The connection comes from the environment, as its documentation advises: Airflow's table of connections stays empty.
"""

from __future__ import annotations

import base64
import contextlib
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
from typing import Any, get_args

import psutil
import pytest
from airflow import __version__

from airflow_provider_trackingmore.client.observer import Gauge
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.system.dags.leaks import KNOWN, LOST

pytestmark = [
    pytest.mark.system,
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
OF_PEOPLE = ["Wilhelmina", "Ostrander", "w.ostrander", "15550172839", "Quentin", "insulin"]
OF_THE_ACCOUNT = ["account-0@", "account-0%40", "10005550000"]
CANARY = str(KNOWN[0]["tracking_number"])


class Evidence:
    """All that a run leaves, as texts and where they were found."""

    def __init__(self, folder: Path, statsd: socket.socket) -> None:
        self.statsd = statsd
        self.folder = folder
        self.home = folder / "airflow"
        self.texts: dict[str, bytes] = {}
        self.processes: set[str] = set()

    def look_at_processes(self) -> None:
        """The arguments of everything that was started: components, workers, the sandbox."""
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                self.processes.add("\0".join(process.cmdline()))

    def take_metrics(self) -> None:
        """What was sent to the statsd server."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.texts["metrics"] = self.texts.get("metrics", b"") + self.statsd.recv(65536) + b"\n"

    def dump_database(self, when: str) -> None:
        """Each table as text: XCom, rendered templates, triggers, events on their way to a task, serialised DAGs."""
        with closing(sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True, timeout=30)) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                rows = database.execute(f'SELECT * FROM "{table}"').fetchall()
                self.texts[f"table {table} {when}"] = repr(rows).encode()

    def collect_files(self, when: str) -> None:
        """Each file with its name: logs, configuration, the database's own bytes, pacing, output of components."""
        for file in self.folder.rglob("*"):
            if file.is_file():
                place = file.relative_to(self.folder)
                self.texts[f"file {place} {when}"] = str(place).encode() + b"\n" + file.read_bytes()

    def holding(self, *wanted: str) -> list[str]:
        """Where any of these is found."""
        texts = self.texts | {"arguments of processes": "\n".join(self.processes).encode()}
        return sorted(place for place, text in texts.items() if any(one.encode() in text for one in wanted))


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


def finish(airflow: Any, dag_id: str, evidence: Evidence, sandbox: SandboxProcess) -> None:
    """Run a DAG to its end, whichever that is, and look at what is there only meanwhile."""
    run_id = airflow.call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"]
    run = f"dags/{dag_id}/dagRuns/{run_id}"
    waiting = {"deferred", "ended", "lost"}
    until = time.monotonic() + 150
    for number in range(10_000):
        airflow.check()
        evidence.look_at_processes()
        evidence.dump_database(f"during {dag_id} {number}")
        evidence.take_metrics()
        if airflow.call("GET", run)["state"] in ("success", "failed"):
            return
        tasks = airflow.call("GET", f"{run}/taskInstances")["task_instances"]
        if waiting and waiting == {task["task_id"] for task in tasks if task["state"] == "deferred"}:
            sandbox.advance(days=2)
            waiting = set()
        assert time.monotonic() < until, airflow.tail("scheduler")
        time.sleep(0.5)


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, key: str, wrong_key: str, statsd: socket.socket
) -> tuple[Evidence, Evidence]:
    """What is left of a run of everything, and then of a task that asks for the vendor's record."""
    from example_dags.demo.components import Airflow

    folder = tmp_path_factory.mktemp("leaks")
    kept, asked = Evidence(folder, statsd), Evidence(folder, statsd)
    with SandboxProcess(api_keys=[key], seed=1, no_limits=True) as sandbox, (folder / "output").open("w") as log:
        sandbox.freeze()
        sandbox.seed(shipments=[one | PEOPLE for one in KNOWN + LOST])
        sandbox.seed(count=1)
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
            airflow.wait_for_dag("leaks", 120)
            finish(airflow, "leaks", kept, sandbox)
            kept.dump_database("after leaks")
            log.flush()
            kept.collect_files("after leaks")
            airflow.wait_for_dag("leaks_on_request", 60)
            finish(airflow, "leaks_on_request", asked, sandbox)
        log.flush()
        asked.dump_database("at the end")
        asked.collect_files("at the end")
    return kept, asked


@pytest.fixture
def kept(both: tuple[Evidence, Evidence]) -> Evidence:
    return both[0]


@pytest.fixture
def asked(both: tuple[Evidence, Evidence]) -> Evidence:
    return both[1]


def test_the_run_did_what_it_was_to_do(kept: Evidence) -> None:
    with closing(sqlite3.connect(kept.home / "airflow.db")) as database:
        states = dict(database.execute("SELECT task_id, state FROM task_instance"))
    failed = {task for task, state in states.items() if state != "success"}
    assert failed == {"missing", "wrong_key", "lost"}


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
    assert sent >= {"requests", "slot_wait", "exchange", *get_args(Gauge), "waits.late"}


def test_the_key_is_nowhere(kept: Evidence, asked: Evidence, key: str, wrong_key: str) -> None:
    forms = [form for one in (key, wrong_key) for form in (one, base64.b64encode(one.encode()).decode()[:-4])]
    assert kept.holding(*forms) == []
    assert asked.holding(*forms) == []


def test_what_the_vendor_knows_of_people_is_nowhere(kept: Evidence) -> None:
    assert kept.holding(*OF_PEOPLE) == []


def test_address_and_phone_of_the_account_are_nowhere(kept: Evidence) -> None:
    assert kept.holding(*OF_THE_ACCOUNT) == []


def test_the_record_that_was_asked_for_is_where_airflow_puts_xcoms_and_nowhere_else(asked: Evidence) -> None:
    places = {place.split(" ")[1].removesuffix("-wal") for place in asked.holding(*OF_PEOPLE)}
    # At DEBUG, which this run has, Airflow 3.3 prints every XCom that a task leaves in the output of the component.
    assert places - {"output"} == {"xcom", "airflow/airflow.db"}
