"""A webhook ends a wait on a whole Airflow: sandbox, API server, wait released, next task."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from airflow import __version__
from cryptography.fernet import Fernet

from airflow_provider_trackingmore.plugins.webhook_route import LOGGED_PATH
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.status_reports.report import StatusReport
from tests.system.conftest import decode_xcom
from tests.system.webhook_dags.released_by_webhook import LEFT_WAITING, SHIPMENTS, WAITS

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(
        tuple(map(int, __version__.split(".")[:2])) < (3, 1), reason="the route exists from Airflow 3.1 on"
    ),
]
DAG = "released_by_webhook"
HOW_TO = Path(__file__).parents[2] / "docs" / "examples" / "how_to"


def deadline(stored_arguments: str) -> str:
    """The deadline in the arguments with which Airflow resumes a task, in whatever form it stores them."""
    return re.findall(r'"deadline": *([0-9.]+)', stored_arguments)[0]


class System:
    """A running Airflow with a run of the DAG, all of whose waits have been deferred for half a minute."""

    def __init__(self, airflow: Any, sandbox: SandboxProcess, folder: Path, secret: str) -> None:
        self.airflow = airflow
        self.sandbox = sandbox
        self.folder = folder
        self.secret = secret
        self.watchers = 0
        self.url = f"{airflow.url}/trackingmore/webhooks/trackingmore_default/{secret}"

    def rows(self, query: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "airflow" / "airflow.db", timeout=60)) as database:
            return database.execute(query, values).fetchall()

    def tasks(self) -> dict[str, str | None]:
        return dict(self.rows("SELECT task_id, state FROM task_instance WHERE dag_id = ?", DAG))

    def until(self, condition: Callable[[], Any], what: str, within: float = 300) -> None:
        deadline = time.monotonic() + within
        while not condition():
            self.airflow.check()
            assert time.monotonic() < deadline, f"{what}\n{self.tasks()}\n{self.airflow.tail('api-server')}"
            time.sleep(0.1)

    def logged(self) -> str:
        """Everything that any component or task has logged."""
        files = [file for file in self.folder.rglob("*") if file.is_file() and not file.name.startswith("airflow.db")]
        return "".join(file.read_text(encoding="utf-8", errors="replace") for file in files)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    from demo.components import Airflow

    folder = tmp_path_factory.mktemp("webhooks")
    secret = secrets.token_urlsafe(24)
    dags = shutil.copytree(Path(__file__).parent / "webhook_dags", folder / "dags")
    shutil.copy(HOW_TO / "act_on_webhook.py", dags)
    with SandboxProcess(no_limits=True) as sandbox, (folder / "output").open("w") as log:
        connection = sandbox.connection
        connection["extra"]["webhook_secret"] = secret
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__API__WORKERS": "2",
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",  # runs because of assets
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(connection),
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "TRACKINGMORE_PACING_DIR": str(folder / "pace"),
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
        }
        with Airflow(folder / "airflow", log, settings) as airflow:
            sandbox.seed(shipments=[*SHIPMENTS, LEFT_WAITING])
            system = System(airflow, sandbox, folder, secret)
            airflow.wait_for_dag(DAG, 300)
            airflow.call("POST", f"dags/{DAG}/dagRuns", {"logical_date": None})
            waits = {f"wait_{name}" for name in (*range(WAITS), "left")}
            system.until(
                lambda: waits <= {task for task, state in system.tasks().items() if state == "deferred"},
                "not all have been deferred",
            )
            time.sleep(31)  # a wait is left alone for half a minute after it was deferred
            sandbox.set_webhook(system.url)
            yield system
        log.flush()


def test_the_triggerer_reports_each_wait_in_a_variable(system: System) -> None:
    def report() -> StatusReport | None:
        rows = system.rows("SELECT val FROM variable WHERE key LIKE 'trackingmore_status_%' AND is_encrypted")
        texts = [
            Fernet(system.airflow.environment["AIRFLOW__CORE__FERNET_KEY"]).decrypt(row[0].encode()) for row in rows
        ]
        return StatusReport.from_text(texts[0].decode()) if texts else None

    triggers = dict(system.rows("SELECT trigger_id, task_id FROM task_instance WHERE state = 'deferred'"))

    def is_complete() -> bool:
        found = report()
        return found is not None and found.progress.keys() == triggers.keys()

    system.until(is_complete, "not all waits are reported")
    found = report()
    assert found is not None
    # The poller does not know the status of a parcel that a worker has just checked.
    assert {sum(wait.statuses.values()) for wait in found.progress.values()} <= {0, 1}
    assert all(wait.next_check_at is not None and wait.next_check_at > time.time() for wait in found.progress.values())
    assert {user.component for user in found.usage.users} >= {"worker"}
    assert found.conn_ids == ("trackingmore_default",)


def test_each_wait_is_released_by_its_webhook_and_the_next_task_runs(
    system: System, record_property: Callable[[str, object], None]
) -> None:
    released, closed = [], []
    for number, shipment in enumerate(SHIPMENTS):
        began = time.time()
        system.sandbox.add_event(shipment["carrier_code"], shipment["tracking_number"], "Delivered", status="delivered")
        system.until(lambda: system.tasks()[f"wait_{number}"] == "success", "the wait is not released")  # noqa: B023
        released.append(time.time() - began)
        system.until(lambda: system.tasks()[f"close_{number}"] == "success", "the next task has not run")  # noqa: B023
        closed.append(time.time() - began)
    for name, seconds in (("released", released), ("next task done", closed)):
        text = " ".join(f"{second:.1f}" for second in sorted(seconds))
        record_property(name, text)
        print(f"\nfrom the change to {name}: {text} s")
    assert {delivery["http"] for delivery in system.sandbox.webhooks()} == {200}
    assert system.tasks()["wait_left"] == "deferred"
    assert len(system.sandbox.calls("GET", "/trackings/getuserinfo")) <= 3
    # once in each process of the API server, and once in the triggerer


def test_a_webhook_about_a_parcel_that_has_not_arrived_moves_no_deadline(system: System) -> None:
    query = "SELECT next_kwargs, trigger_id FROM task_instance WHERE dag_id = ? AND task_id = 'wait_left'"
    ((before, first_trigger),) = system.rows(query, DAG)
    mark = system.sandbox.last_serial()
    system.sandbox.forge_webhook(*LEFT_WAITING.values(), signature="right")
    system.until(
        lambda: system.tasks()["wait_left"] == "deferred" and system.rows(query, DAG)[0][1] != first_trigger,
        "the wait has not checked again",
    )
    ((after, _),) = system.rows(query, DAG)
    assert deadline(after) == deadline(before)
    # A worker makes this check only if the account is free at that moment. Otherwise it leaves it to the triggerer.
    # A process of the API server asks for the signing key at its first webhook, whichever that is.
    system.until(lambda: system.sandbox.calls("GET", "/trackings/get", since=mark), "nothing has asked TrackingMore")
    assert [call["path"] for call in system.sandbox.calls(since=mark) if call["path"] != "/trackings/getuserinfo"] == [
        "/trackings/get"
    ]


def test_the_secret_is_in_no_log(system: System) -> None:
    system.sandbox.set_webhook(system.url.replace("trackingmore_default", "no_such_connection"))
    assert system.sandbox.forge_webhook("usps", "NUMBER0001")["http"] == 404
    system.sandbox.set_webhook(f"{system.url}?also={system.secret}")
    assert system.sandbox.forge_webhook("usps", "NUMBER0001")["http"] == 401
    system.sandbox.set_webhook(system.url)
    assert system.sandbox.forge_webhook("usps", "NUMBER0001", signature="right")["http"] == 200
    system.until(lambda: system.logged().count(LOGGED_PATH) >= 3, "the access log shows no requests")
    assert system.secret not in system.logged()


@pytest.fixture
def gateway(system: System) -> Iterator[str]:
    """The URL of the documented gateway, in a process of its own, without a way from it to TrackingMore."""
    from demo.components import free_port

    system.airflow.wait_for_dag("act_on_webhook", 300)
    (asset,) = system.airflow.call("GET", "assets?uri_pattern=x-trackingmore")["assets"]
    port = free_port()
    settings = {
        "AIRFLOW_URL": system.airflow.url,
        "AIRFLOW_TOKEN": requests.get(f"{system.airflow.url}/auth/token", timeout=60).json()["access_token"],
        "ASSET_ID": str(asset["id"]),
        "WEBHOOK_SECRET": system.secret,
        "TRACKINGMORE_EMAIL": "account-0@sandbox.example",
        "PORT": str(port),
    }
    with (system.folder / "gateway").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(HOW_TO / "webhook_gateway.py")], env=os.environ | settings, stderr=log
        )
        url = f"http://127.0.0.1:{port}/webhooks/{system.secret}"
        try:
            system.until(lambda: is_reachable(url), "the gateway does not answer")
            yield url
        finally:
            process.terminate()
            process.wait()


def is_reachable(url: str) -> bool:
    try:
        return requests.get(url, timeout=60).status_code > 0
    except requests.ConnectionError:
        return False


def test_the_documented_gateway_starts_a_dag_that_asks_trackingmore(system: System, gateway: str) -> None:
    arrived, on_its_way = "SBX-STUCK-ARRIVED", "SBX-STUCK-ONITSWAY"
    system.sandbox.set_webhook("")
    system.sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": arrived}])
    system.sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": on_its_way}])
    system.sandbox.add_event("usps", arrived, "Delivered", status="delivered")
    system.sandbox.set_webhook(gateway)
    assert system.sandbox.send_webhook("usps", arrived)["http"] == 200
    assert system.sandbox.forge_webhook("usps", arrived)["http"] == 401
    assert system.sandbox.forge_webhook("usps", on_its_way, signature="right")["http"] == 200  # it says: delivered
    assert system.sandbox.forge_webhook("usps", "NOWHERE01", signature="right")["http"] == 200
    for path in ("x", "/more", "?a=1"):
        system.sandbox.set_webhook(f"{gateway}{path}")
        assert system.sandbox.send_webhook("usps", arrived)["http"] == 404

    def delivered() -> list[str]:
        runs = system.rows("SELECT state FROM dag_run WHERE dag_id = 'act_on_webhook'")
        events = system.rows("SELECT count(*) FROM asset_event")
        values = system.rows("SELECT value FROM xcom WHERE dag_id = 'act_on_webhook' AND task_id = 'act'")
        done = bool(runs) and all(state == "success" for (state,) in runs) and events == [(3,)]
        return [name for (value,) in values for name in decode_xcom(value)] if done else []

    system.until(delivered, "the DAG has not run")
    assert set(delivered()) == {arrived}, "what a forged webhook says is not believed"
    # Airflow may leave an event that comes while it creates a run to the next run.
    system.sandbox.set_webhook(gateway)
    assert system.sandbox.send_webhook("usps", arrived)["http"] == 200
    system.until(
        lambda: all(
            any(number in call["query"].get("numbers", "") for call in system.sandbox.calls("GET", "/trackings/get"))
            for number in (arrived, on_its_way, "NOWHERE01")
        ),
        "TrackingMore was not asked about each",
    )
    assert system.secret not in system.logged()
