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
from tests.system.conftest import plain
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


class Whole:
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
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
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
            whole = Whole(airflow, sandbox, folder, secret)
            airflow.wait_for_dag(DAG, 300)
            airflow.call("POST", f"dags/{DAG}/dagRuns", {"logical_date": None})
            waits = {f"wait_{name}" for name in (*range(WAITS), "left")}
            whole.until(
                lambda: waits <= {task for task, state in whole.tasks().items() if state == "deferred"},
                "not all have been deferred",
            )
            time.sleep(31)  # a wait is left alone for half a minute after it was deferred
            sandbox.set_webhook(whole.url)
            yield whole
        log.flush()


def test_the_triggerer_reports_each_wait_in_a_variable(whole: Whole) -> None:
    def report() -> StatusReport | None:
        rows = whole.rows("SELECT val FROM variable WHERE key LIKE 'trackingmore_status_%' AND is_encrypted")
        texts = [
            Fernet(whole.airflow.environment["AIRFLOW__CORE__FERNET_KEY"]).decrypt(row[0].encode()) for row in rows
        ]
        return StatusReport.from_text(texts[0].decode()) if texts else None

    triggers = dict(whole.rows("SELECT trigger_id, task_id FROM task_instance WHERE state = 'deferred'"))

    def is_complete() -> bool:
        found = report()
        return found is not None and found.progress.keys() == triggers.keys()

    whole.until(is_complete, "not all waits are reported")
    found = report()
    assert found is not None
    # The poller does not know the status of a parcel that a worker has just checked.
    assert {sum(wait.statuses.values()) for wait in found.progress.values()} <= {0, 1}
    assert all(wait.next_check_at is not None and wait.next_check_at > time.time() for wait in found.progress.values())
    assert {user.component for user in found.usage.users} >= {"worker"}
    assert found.conn_ids == ("trackingmore_default",)


def test_each_wait_is_released_by_its_webhook_and_the_next_task_runs(
    whole: Whole, record_property: Callable[[str, object], None]
) -> None:
    released, closed = [], []
    for number, shipment in enumerate(SHIPMENTS):
        began = time.time()
        whole.sandbox.add_event(shipment["carrier_code"], shipment["tracking_number"], "Delivered", status="delivered")
        whole.until(lambda: whole.tasks()[f"wait_{number}"] == "success", "the wait is not released")  # noqa: B023
        released.append(time.time() - began)
        whole.until(lambda: whole.tasks()[f"close_{number}"] == "success", "the next task has not run")  # noqa: B023
        closed.append(time.time() - began)
    for name, seconds in (("released", released), ("next task done", closed)):
        text = " ".join(f"{second:.1f}" for second in sorted(seconds))
        record_property(name, text)
        print(f"\nfrom the change to {name}: {text} s")
    assert {delivery["http"] for delivery in whole.sandbox.webhooks()} == {200}
    assert whole.tasks()["wait_left"] == "deferred"
    assert len(whole.sandbox.calls("GET", "/trackings/getuserinfo")) <= 3
    # once in each process of the API server, and once in the triggerer


def test_a_webhook_about_a_parcel_that_has_not_arrived_moves_no_deadline(whole: Whole) -> None:
    query = "SELECT next_kwargs, trigger_id FROM task_instance WHERE dag_id = ? AND task_id = 'wait_left'"
    ((before, first_trigger),) = whole.rows(query, DAG)
    mark = whole.sandbox.last_serial()
    whole.sandbox.forge_webhook(*LEFT_WAITING.values(), signature="right")
    whole.until(
        lambda: whole.tasks()["wait_left"] == "deferred" and whole.rows(query, DAG)[0][1] != first_trigger,
        "the wait has not checked again",
    )
    ((after, _),) = whole.rows(query, DAG)
    assert deadline(after) == deadline(before)
    # A worker makes this check only if the account is free at that moment. Otherwise it leaves it to the triggerer.
    # A process of the API server asks for the signing key at its first webhook, whichever that is.
    whole.until(lambda: whole.sandbox.calls("GET", "/trackings/get", since=mark), "nothing has asked TrackingMore")
    assert [call["path"] for call in whole.sandbox.calls(since=mark) if call["path"] != "/trackings/getuserinfo"] == [
        "/trackings/get"
    ]


def test_the_secret_is_in_no_log(whole: Whole) -> None:
    whole.sandbox.set_webhook(whole.url.replace("trackingmore_default", "no_such_connection"))
    assert whole.sandbox.forge_webhook("usps", "NUMBER0001")["http"] == 404
    whole.sandbox.set_webhook(f"{whole.url}?also={whole.secret}")
    assert whole.sandbox.forge_webhook("usps", "NUMBER0001")["http"] == 401
    whole.sandbox.set_webhook(whole.url)
    assert whole.sandbox.forge_webhook("usps", "NUMBER0001", signature="right")["http"] == 200
    whole.until(lambda: whole.logged().count(LOGGED_PATH) >= 3, "the access log shows no requests")
    assert whole.secret not in whole.logged()


@pytest.fixture
def gateway(whole: Whole) -> Iterator[str]:
    """The URL of the documented gateway, in a process of its own, without a way from it to TrackingMore."""
    from demo.components import free_port

    whole.airflow.wait_for_dag("act_on_webhook", 300)
    (asset,) = whole.airflow.call("GET", "assets?uri_pattern=x-trackingmore")["assets"]
    port = free_port()
    settings = {
        "AIRFLOW_URL": whole.airflow.url,
        "AIRFLOW_TOKEN": requests.get(f"{whole.airflow.url}/auth/token", timeout=60).json()["access_token"],
        "ASSET_ID": str(asset["id"]),
        "WEBHOOK_SECRET": whole.secret,
        "TRACKINGMORE_EMAIL": "account-0@sandbox.example",
        "PORT": str(port),
    }
    with (whole.folder / "gateway").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(HOW_TO / "webhook_gateway.py")], env=os.environ | settings, stderr=log
        )
        url = f"http://127.0.0.1:{port}/webhooks/{whole.secret}"
        try:
            whole.until(lambda: is_reachable(url), "the gateway does not answer")
            yield url
        finally:
            process.terminate()
            process.wait()


def is_reachable(url: str) -> bool:
    try:
        return requests.get(url, timeout=60).status_code > 0
    except requests.ConnectionError:
        return False


def test_the_documented_gateway_starts_a_dag_that_asks_trackingmore(whole: Whole, gateway: str) -> None:
    arrived, on_its_way = "SBX-STUCK-ARRIVED", "SBX-STUCK-ONITSWAY"
    whole.sandbox.set_webhook("")
    whole.sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": arrived}])
    whole.sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": on_its_way}])
    whole.sandbox.add_event("usps", arrived, "Delivered", status="delivered")
    whole.sandbox.set_webhook(gateway)
    assert whole.sandbox.send_webhook("usps", arrived)["http"] == 200
    assert whole.sandbox.forge_webhook("usps", arrived)["http"] == 401
    assert whole.sandbox.forge_webhook("usps", on_its_way, signature="right")["http"] == 200  # it says: delivered
    assert whole.sandbox.forge_webhook("usps", "NOWHERE01", signature="right")["http"] == 200
    for path in ("x", "/more", "?a=1"):
        whole.sandbox.set_webhook(f"{gateway}{path}")
        assert whole.sandbox.send_webhook("usps", arrived)["http"] == 404

    def delivered() -> list[str]:
        runs = whole.rows("SELECT state FROM dag_run WHERE dag_id = 'act_on_webhook'")
        events = whole.rows("SELECT count(*) FROM asset_event")
        values = whole.rows("SELECT value FROM xcom WHERE dag_id = 'act_on_webhook' AND task_id = 'act'")
        done = bool(runs) and all(state == "success" for (state,) in runs) and events == [(3,)]
        return [name for (value,) in values for name in plain(value)] if done else []

    whole.until(delivered, "the DAG has not run")
    assert set(delivered()) == {arrived}, "what a forged webhook says is not believed"
    # Airflow may leave an event that comes while it creates a run to the next run.
    whole.sandbox.set_webhook(gateway)
    assert whole.sandbox.send_webhook("usps", arrived)["http"] == 200
    whole.until(
        lambda: all(
            any(number in call["query"].get("numbers", "") for call in whole.sandbox.calls("GET", "/trackings/get"))
            for number in (arrived, on_its_way, "NOWHERE01")
        ),
        "TrackingMore was not asked about each",
    )
    assert whole.secret not in whole.logged()
