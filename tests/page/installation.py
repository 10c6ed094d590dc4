"""A whole Airflow with PostgreSQL and the sandbox, for the page."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from demo.components import Airflow, AirflowError

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 300.0
USER = "ann"
SHOP, OTHER, HISTORY = 0, 1, 2
"""Accounts in the sandbox: the shop, whose waits are shown, another one, and one with a long history to load."""
DELIVERED = 4
"""A value of ``status`` in ``PUT /trackings/{carrier_code}/{tracking_number}``."""
DAY = 86_400


class AirflowWithLogin(Airflow):
    """An Airflow with a login."""

    password = ""

    def wait_until_ready(self, timeout: float) -> None:
        """See :meth:`Airflow.wait_until_ready`."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.check()
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                user = {"username": USER, "password": self.password}
                token = self._session.post(f"{self.url}/auth/token", json=user, timeout=60).json()["access_token"]
                self._session.headers["Authorization"] = f"Bearer {token}"
                return
            time.sleep(0.2)
        raise AirflowError(f"Airflow's API is not ready:\n{self.tail('api-server')}")


class Installation:
    """Everything that runs.

    :param airflow: Airflow's components.
    :param database: Airflow's database.
    :param sandbox: the vendor.
    :param folder: for files.
    """

    def __init__(self, airflow: Any, database: Any, sandbox: SandboxProcess, folder: Path) -> None:
        self.airflow = airflow
        self.database = database
        self.sandbox = sandbox
        self.folder = folder

    @property
    def url(self) -> str:
        """The URL of Airflow's UI."""
        return str(self.airflow.url)

    def until(self, condition: Callable[[], object], what: str, seconds: float = 120) -> None:
        """Wait until a condition is true."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.airflow.check()
            assert time.monotonic() < deadline, f"{what}\n{self.airflow.tail('scheduler')}"
            time.sleep(0.5)

    def count(self, state: str, dag_id: str = "%") -> int:
        """Return the number of task instances in a state."""
        query = f"SELECT count(*) FROM task_instance WHERE state = '{state}' AND dag_id LIKE '{dag_id}'"
        return int(self.database.rows(query)[0][0])

    def start(self, dag_id: str, waits: int) -> None:
        """Start a run, and wait until its sensors are deferred."""
        run = {"logical_date": "2026-11-29T00:00:00Z"} if dag_id == "order_closing" else {"logical_date": None}
        self.airflow.call("POST", f"dags/{dag_id}/dagRuns", run)
        self.until(lambda: self.count("deferred", dag_id) >= waits, f"{dag_id} does not wait")

    def deliver(self, parcels: list[dict[str, str]]) -> None:
        """Deliver parcels."""
        with requests.Session() as session:
            session.trust_env = False
            session.headers["Trackingmore-Api-Key"] = self.sandbox.api_keys[SHOP]
            for parcel in parcels:
                url = f"{self.sandbox.base_url}/trackings/{parcel['carrier_code']}/{parcel['tracking_number']}"
                answer = session.put(url, json={"status": DELIVERED}, timeout=60)
                assert answer.json()["meta"]["code"] == 200, answer.text

    def load_history(self) -> None:
        """Load an account with a long history into a database, and restart the API server with that connection."""
        environment = self.airflow.environment | {"PYTHONPATH": str(ROOT)}
        command = ["load", "sql", "warehouse", "--conn-id", "history", "--account", "shop", "--yes"]
        subprocess.run(
            [sys.executable, "-m", "airflow_provider_trackingmore", *command],
            env=environment, check=True, capture_output=True, timeout=300,
        )  # fmt: skip

    def restart_api_server(self, **environment: str) -> None:
        """Kill the API server, and start it with further environment variables."""
        self.airflow.start("api-server", environment=environment)
        self.until(self._answers, "the API server does not answer")

    def _answers(self) -> bool:
        try:
            with requests.Session() as session:
                session.trust_env = False
                return session.get(f"{self.url}/api/v2/version", timeout=60).ok
        except requests.ConnectionError:
            return False


@contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """Run everything, with the DAGs known and nothing started.

    :param folder: for files.
    """
    from tests.page.dags.open_waits import ORDERS, OTHER_SHOP, RETURNS, TROUBLED
    from tests.scale.postgres import Postgres

    password = secrets.token_hex(20)
    keys = [secrets.token_hex(20) for _ in (SHOP, OTHER, HISTORY)]
    with ExitStack() as stack:
        sandbox = stack.enter_context(SandboxProcess(api_keys=keys, no_limits=True, quota=20_000))
        sandbox.freeze()
        shipments = [parcel for orders in (ORDERS, RETURNS) for parcels in orders.values() for parcel in parcels]
        ages = [{"age_hours": 30 + index % 17} for index in range(len(shipments))]
        sandbox.seed(shipments=[parcel | age for parcel, age in zip(shipments, ages, strict=True)])
        sandbox.seed(shipments=OTHER_SHOP, account=OTHER)
        sandbox.seed(shipments=TROUBLED, account=HISTORY)
        sandbox.seed(count=1_500, account=HISTORY, ages_days=(0, 60))
        database = stack.enter_context(Postgres())
        warehouse = {"conn_type": "sqlite", "host": str(folder / "warehouse.db")}
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).with_name("dags")),
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "400",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2{database.address}",
            "AIRFLOW__TRIGGERER__CAPACITY": "1000",
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",  # runs because of assets
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
            "TRACKINGMORE_PACING_DIR": str(folder / "pacing"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(sandbox.connection_for(SHOP)),
            "AIRFLOW_CONN_HISTORY": json.dumps(sandbox.connection_for(HISTORY)),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps(warehouse),
        }
        (folder / "passwords.json").write_text(json.dumps({USER: password}))
        log = stack.enter_context((folder / "log").open("w"))
        airflow = stack.enter_context(AirflowWithLogin(folder / "airflow", log, settings))
        airflow.password = password
        for dag_id in ("order_closing", "returns", "other_shop", "notify_on_exception"):
            airflow.wait_for_dag(dag_id, START_SECONDS)
        other = sandbox.connection_for(OTHER)
        fields = other | {"connection_id": "other_shop", "extra": json.dumps(other["extra"])}
        airflow.call("POST", "connections", fields)  # in Airflow's database, where it can be changed
        yield Installation(airflow, database, sandbox, folder)
