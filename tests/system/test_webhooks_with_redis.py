"""Webhooks where the rate limit is in Redis, on a whole Airflow: the pollers are woken, and no task."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from airflow import __version__

from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.status_reports.report import StatusReport
from airflow_provider_trackingmore.status_reports.storage import RedisReports
from tests.integration.client.redis_server import RedisServer, find_binary
from tests.system.test_webhooks import DAG, System
from tests.system.webhook_dags.released_by_webhook import LEFT_WAITING, SHIPMENTS, WAITS

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(
        tuple(map(int, __version__.split(".")[:2])) < (3, 1), reason="the route exists from Airflow 3.1 on"
    ),
    pytest.mark.skipif(find_binary() is None, reason="there is no Redis server on this machine"),
]
TRIGGERS = "SELECT trigger_id FROM task_instance WHERE dag_id = ? AND task_id = 'wait_left'"
RUNS = "SELECT count(*) FROM dag_run WHERE dag_id = 'woken_by_webhook'"


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    running = RedisServer(str(find_binary()), tmp_path_factory.mktemp("redis"))
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[System]:
    from demo.components import Airflow

    folder = tmp_path_factory.mktemp("webhooks")
    secret = secrets.token_urlsafe(24)
    here = Path(__file__).parent
    dags = shutil.copytree(here / "webhook_dags", folder / "dags")
    shutil.copy(here / "redis_dags" / "woken_by_webhook.py", dags)
    with SandboxProcess() as sandbox, (folder / "output").open("w") as log:  # with its limits on
        connection = sandbox.connection
        connection["extra"] |= {
            "webhook_secret": secret,
            "webhook_email": "account-0@sandbox.example",
            "pacing": redis_server.url,
        }
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__API__WORKERS": "2",
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",  # runs because of assets
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(connection),
            "TRACKINGMORE_PACING_DIR": str(folder / "pace"),
            "PYTHONPATH": os.pathsep.join([str(here.parents[1]), os.environ.get("PYTHONPATH", "")]),
        }
        sandbox.seed(shipments=[*SHIPMENTS, LEFT_WAITING])
        with Airflow(folder / "airflow", log, settings) as airflow:
            system = System(airflow, sandbox, folder, secret)
            system.watchers = 1
            airflow.wait_for_dag(DAG, 300)
            airflow.call("POST", f"dags/{DAG}/dagRuns", {"logical_date": None})
            waits = {f"wait_{name}" for name in (*range(WAITS), "left")}
            system.until(
                lambda: waits <= {task for task, state in system.tasks().items() if state == "deferred"},
                "not all have been deferred",
            )
            sandbox.set_webhook(system.url)
            yield system
        log.flush()


def test_the_triggerer_reports_to_redis(system: System, redis_server: RedisServer) -> None:
    key, host = system.sandbox.connection["password"], system.sandbox.connection["host"]
    account = ClientSettings(api_key=key, base_url=host).fingerprint
    reports = RedisReports(redis_server.url)

    def read() -> StatusReport | None:
        return next(map(StatusReport.from_text, reports.read_all(account)), None)

    system.until(lambda: (found := read()) and found.waits == WAITS + 1, "the waits are not reported")
    report = read()
    assert report is not None
    assert report.watchers == 1
    assert report.usage_scope == "redis"
    assert {user.component for user in report.usage.users} >= {"worker", "triggerer"}
    assert system.rows("SELECT key FROM variable WHERE key LIKE 'trackingmore_status_%'") == []


def test_each_wait_is_released_within_seconds(system: System, record_property: Callable[[str, object], None]) -> None:
    released = []
    for number, shipment in enumerate(SHIPMENTS):
        began = time.time()
        system.sandbox.add_event(shipment["carrier_code"], shipment["tracking_number"], "Delivered", status="delivered")
        system.until(lambda: system.tasks()[f"wait_{number}"] == "success", "the wait is not released")  # noqa: B023
        released.append(time.time() - began)
    text = " ".join(f"{second:.1f}" for second in sorted(released))
    record_property("released", text)
    print(f"\nfrom the change to released: {text} s")
    assert not [call for call in system.sandbox.calls() if call.get("status") == 429]


def test_a_watcher_reports_the_changes_within_a_minute(system: System) -> None:
    """The events of a round are stored half a minute before the next one, so later webhooks wait for that."""
    system.until(lambda: system.rows(RUNS)[0][0], "the watcher has reported nothing", within=120)


def test_a_webhook_about_nothing_new_wakes_no_task(system: System) -> None:
    ((trigger,),) = system.rows(TRIGGERS, DAG)
    mark = system.sandbox.last_serial()
    system.sandbox.forge_webhook(*LEFT_WAITING.values(), signature="right")
    system.until(lambda: system.sandbox.calls("GET", "/trackings/get", since=mark), "the poller has not checked")
    time.sleep(5)
    assert system.rows(TRIGGERS, DAG) == [(trigger,)]
    assert system.tasks()["wait_left"] == "deferred"


def test_while_redis_is_down_the_task_checks_again(system: System, redis_server: RedisServer) -> None:
    ((trigger,),) = system.rows(TRIGGERS, DAG)
    redis_server.kill()
    system.sandbox.forge_webhook(*LEFT_WAITING.values(), signature="right")
    system.until(
        lambda: system.tasks()["wait_left"] == "deferred" and system.rows(TRIGGERS, DAG) != [(trigger,)],
        "the wait has not checked again",
    )
