"""Airflow for the demo: start its components on free ports, with a separate AIRFLOW_HOME, and stop them."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Container, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urlsplit

import psutil
import requests

DAGS = Path(__file__).resolve().parents[1] / "example_dags"
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
STARTUP_TIMEOUT = 300.0
"""How many seconds Airflow has to start."""
API_TIMEOUT = 120.0
"""The timeout of a call to Airflow's REST API in seconds; on a busy machine some take very long."""
STOP_GRACE = 3.0
"""How many seconds components have to exit before they are killed."""
OWN_SETTINGS = (
    "AIRFLOW_HOME",
    "AIRFLOW__DATABASE__",
    "AIRFLOW__CELERY__",
    "AIRFLOW__CORE__EXECUTOR",
    "AIRFLOW__CORE__AUTH_MANAGER",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS",
)
"""Prefixes of variables that belong to another Airflow: its database, workers and users are not touched."""


def _task_message(line: str) -> str:
    """Extract the message from a line of a task log."""
    try:
        entry = json.loads(line)
        causes = [f"{cause['exc_type']}: {cause['exc_value']}" for cause in entry.get("error_detail") or ()]
        return "  ".join([entry["level"], entry["event"], *causes])
    except (ValueError, KeyError, TypeError, AttributeError):
        return line


class AirflowError(Exception):
    """Airflow did not start, exited, or could not load the DAG; the message includes the end of the log."""


def free_port() -> int:
    """Find a free port below the ephemeral ports, so that no other process gets it by chance.

    :return: a port that was free just now.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Airflow:
    """A complete Airflow with LocalExecutor and a separate AIRFLOW_HOME, running during the ``with`` block.

    Its database is SQLite, unless ``environment`` names another.

    :param home: becomes AIRFLOW_HOME; must not exist.
    :param log: opened for writing; gets the output of all components.
    :param environment: further environment variables: connections, settings of the DAG.
    :param user_settings: whether the ``AIRFLOW_…`` variables of this process apply, and take precedence over those
        here. Exceptions are :data:`OWN_SETTINGS`.
    :param ignored: further variables of this process that do not apply.
    """

    def __init__(
        self,
        home: Path,
        log: IO[str],
        environment: Mapping[str, str],
        *,
        user_settings: bool = False,
        ignored: Container[str] = (),
    ) -> None:
        self.home = home
        names = sorted(name for name in os.environ if user_settings and name.startswith("AIRFLOW_"))
        self.ignored_settings = [name for name in names if name.startswith(OWN_SETTINGS) or name in ignored]
        user = {name: os.environ[name] for name in names if name not in self.ignored_settings}
        self._port = user.get("AIRFLOW__API__PORT") or str(free_port())
        # Behind a proxy, all pages and APIs may be below a path.
        self.url = f"http://127.0.0.1:{self._port}{urlsplit(user.get('AIRFLOW__API__BASE_URL', '')).path.rstrip('/')}"
        self.environment = self._environment() | dict(environment) | user
        self._log = log
        self._log_lock = threading.Lock()  # without it, Python 3.11 mixes up what threads write to one text file
        self._copying: list[threading.Thread] = []
        self._tails: dict[str, deque[str]] = {}
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._orphans: list[psutil.Process] = []
        self._session = requests.Session()
        self._session.trust_env = False

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("AIRFLOW") and name not in ("TRACKINGMORE_API_KEY", "TRACKINGMORE_BASE_URL")
        }
        settings = {
            "core__dags_folder": str(DAGS),
            "core__load_examples": "False",
            "core__executor": "LocalExecutor",
            # Many tasks that start at once keep SQLite busy for longer than its default timeout of 5 s.
            "database__sql_alchemy_conn": f"sqlite:///{self.home / 'airflow.db'}?timeout=60",
            "core__parallelism": "4",
            "core__max_active_tasks_per_dag": "64",
            "core__default_task_retry_delay": "3",
            "core__dags_are_paused_at_creation": "False",
            "core__simple_auth_manager_all_admins": "True",
            "core__execution_api_server_url": f"{self.url}/execution/",
            "api__host": "127.0.0.1",
            "api__port": self._port,
            "api__base_url": self.url,
            "api__workers": "1",
            "api_auth__jwt_secret": secrets.token_hex(32),
            "dag_processor__parsing_processes": "1",
            # The DAG runs when it is triggered, not by its daily schedule.
            "scheduler__use_job_schedule": "False",
            "scheduler__scheduler_idle_sleep_time": "0.2",
            # A worker may notice only after this interval that its task has ended. With the default of 5 s, a deferral
            # can be over before the scheduler has seen it start; the scheduler then takes the task for killed.
            "workers__min_heartbeat_interval": "1",
            # Many tasks that start at once keep the API server busy for longer than the default of 5 s, too. A worker
            # that gives up leaves a task that is reported as failed, or seems to run forever.
            "workers__execution_api_timeout": "60",
            "logging__worker_log_server_port": str(free_port()),
            "logging__trigger_log_server_port": str(free_port()),
            "usage_data_collection__enabled": "False",
        }
        return {
            **inherited,
            **{f"AIRFLOW__{name.upper()}": value for name, value in settings.items()},
            "AIRFLOW_HOME": str(self.home),
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "PYTHONIOENCODING": "utf-8",
            "PYTHONUNBUFFERED": "1",
        }

    def __enter__(self) -> Self:
        self.home.mkdir()
        try:
            self.start("db migrate")
            if self._processes["db migrate"].wait():
                raise AirflowError(f"airflow db migrate failed:\n{self.tail('db migrate')}")
            del self._processes["db migrate"]
            for component in COMPONENTS:
                self.start(component)
        except BaseException:
            self.stop(grace=0)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(grace=0 if kind is KeyboardInterrupt else STOP_GRACE)

    def start(self, component: str, *, name: str = "", environment: Mapping[str, str] | None = None) -> None:
        """Start a component, or start it again after :meth:`kill`.

        :param component: one of :data:`COMPONENTS`, or another ``airflow`` command.
        :param name: its name here, if there is a second one of the same kind.
        :param environment: environment variables that differ from those of the other components.
        """
        name = name or component
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", *component.split()],
            cwd=self.home,
            env=self.environment | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # so that Ctrl-C reaches this process only, which stops the components
        )
        self._processes[name] = process
        self._tails[name] = deque(maxlen=30)
        copying = threading.Thread(target=self._copy_output, args=(name, process), daemon=True)
        copying.start()
        self._copying.append(copying)

    def _copy_output(self, component: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            self._tails[component].append(line)
            with self._log_lock, contextlib.suppress(ValueError):  # the log is already closed
                self._log.write(f"{component:13} | {line}")

    def processes(self, component: str) -> list[psutil.Process]:
        """List the processes of a component.

        :param component: a component that was started.
        :return: the component itself first, then its descendants; empty if it has exited.
        """
        try:
            first = psutil.Process(self._processes[component].pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self, component: str, *, alone: bool = False) -> None:
        """Kill a component with SIGKILL.

        :param component: a running component.
        :param alone: whether its descendants keep running, until :meth:`stop`.
        """
        first, *others = self.processes(component)
        for process in [first] if alone else [first, *others]:  # tasks have their own process groups
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._processes.pop(component).wait()
        self._orphans += others

    def tail(self, component: str) -> str:
        """Return the end of the output of a component.

        :param component: one of :data:`COMPONENTS`, or ``db migrate``.
        :return: up to 30 lines.
        """
        return "".join(self._tails[component])

    def check(self) -> None:
        """Check that all components are running.

        :raises AirflowError: a component has exited.
        """
        for component, process in self._processes.items():
            if process.poll() is not None:
                raise AirflowError(f"airflow {component} has exited:\n{self.tail(component)}")

    @property
    def dags_folder(self) -> str:
        """The folder with the DAGs."""
        return self.environment["AIRFLOW__CORE__DAGS_FOLDER"]

    def wait_until_ready(self, timeout: float) -> None:
        """Wait until the REST API accepts requests.

        :param timeout: seconds.
        :raises AirflowError: the API is not ready in time.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.check()
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                token = self._session.get(f"{self.url}/auth/token", timeout=API_TIMEOUT).json()["access_token"]
                self._session.headers["Authorization"] = f"Bearer {token}"
                return
            time.sleep(0.2)
        raise AirflowError(f"Airflow's API is not ready after {timeout:.0f} s:\n{self.tail('api-server')}")

    def wait_for_dag(self, dag_id: str, timeout: float) -> None:
        """Wait until the REST API accepts requests and the DAG is loaded.

        :param dag_id: the DAG.
        :param timeout: seconds.
        :raises AirflowError: the DAG is not loaded in time, or cannot be imported.
        """
        deadline = time.monotonic() + timeout
        if "Authorization" not in self._session.headers:
            self.wait_until_ready(timeout)
        while time.monotonic() < deadline:
            self.check()
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                if self._session.get(f"{self.url}/api/v2/dags/{dag_id}", timeout=API_TIMEOUT).ok:
                    return
                for error in self.call("GET", "importErrors")["import_errors"]:
                    if dag_id in error["filename"]:
                        raise AirflowError(f"{error['filename']} cannot be imported:\n{error['stack_trace']}")
            time.sleep(0.2)
        raise AirflowError(f"DAG {dag_id} is not loaded after {timeout:.0f} s:\n{self.tail('dag-processor')}")

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call Airflow's REST API.

        :param method: the HTTP method.
        :param path: below ``/api/v2/``.
        :param body: sent as JSON.
        :return: the decoded response; empty if it has no body.
        :raises AirflowError: the call failed.
        """
        try:
            response = self._session.request(method, f"{self.url}/api/v2/{path}", json=body, timeout=API_TIMEOUT)
        except requests.RequestException as error:
            raise AirflowError(f"{method} {path}: {type(error).__name__}\n{self.tail('api-server')}") from error
        if not response.ok:
            raise AirflowError(f"{method} {path}: HTTP {response.status_code} {response.text[:500]}")
        decoded: dict[str, Any] = response.json() if response.content else {}
        return decoded

    def task_log_tail(self, dag_id: str, run_id: str) -> str:
        """Describe why a run failed.

        :param dag_id: the DAG.
        :param run_id: its run.
        :return: the failed tasks, and the end of the log of the first.
        """
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances?state=failed&limit=20"
        failed = [(task["task_id"], task["map_index"]) for task in self.call("GET", path)["task_instances"]]
        if not failed:
            return self.tail("scheduler")
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={failed[0][0]}"
        if failed[0][1] >= 0:
            folder /= f"map_index={failed[0][1]}"
        lines = [line for log in sorted(folder.glob("*.log")) for line in log.read_text(errors="replace").splitlines()]
        return "\n".join([f"failed (task, map index): {failed}", *map(_task_message, lines[-15:])])

    def stop(self, grace: float = STOP_GRACE) -> None:
        """Stop all components and their descendants.

        :param grace: seconds that they have to exit before they are killed.
        """
        processes = [process for component in self._processes for process in self.processes(component)] + self._orphans
        for running in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                running.terminate()
        psutil.wait_procs(processes, timeout=grace)
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # each has a session; this also kills what it has started since
            process.wait()
        for running in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                running.kill()
        for copying in self._copying:  # the last lines often say why a component exited
            copying.join(timeout=5)
        self._processes.clear()
        self._copying.clear()
