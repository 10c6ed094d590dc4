"""A sandbox whose clock stands still unless a test moves it, and Airflow connections to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.airflow.parcels import AGES, PERSONAL, parcel
from tests.warm_airflow import WarmAirflow

KEYS = ("first-account-0f3b9c", "second-account-77aa01")
FOLDER = Path(__file__).parent
START = "2026-03-02T08:00:00+00:00"


@pytest.fixture(scope="session")
def _running() -> Iterator[SandboxProcess]:
    with SandboxProcess(
        api_keys=KEYS, no_limits=True, time_scale=1_000.0, start=START, seed=3, pacing="memory"
    ) as running:
        yield running


@pytest.fixture
def sandbox(_running: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """Empty, and its clock stands still. Connections: the default, one without retries, and one with a wrong key."""
    _running.reset()
    _running.freeze()
    for name, connection in connections(_running).items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    return _running


def connections(sandbox: SandboxProcess) -> dict[str, dict[str, Any]]:
    default, once = sandbox.connection_for(0), sandbox.connection_for(1)
    once["extra"] = once["extra"] | {"max_attempts": 1}
    return {
        "trackingmore_default": default,
        "trackingmore_once": once,
        "trackingmore_wrong_key": default | {"password": "wrong-key-4d5e6f"},
        # TrackingMore's real address, behind a proxy that does not exist, so that nothing is sent there.
        "trackingmore_behind_proxy": {
            "conn_type": "trackingmore",
            "password": "key-for-nobody-1a2b3c",
            "extra": {"proxies": {"https": "http://127.0.0.1:9"}, "max_attempts": 1},
        },
    }


@pytest.fixture
def seed(sandbox: SandboxProcess) -> Callable[..., list[dict[str, Any]]]:
    """Register parcels by their state, such as ``transit``, each with personal data."""

    def registered(*names: str, account: int = 0) -> list[dict[str, Any]]:
        parcels = [parcel(name) for name in names]
        rows = [
            parcel | PERSONAL | {"age_hours": AGES[name.partition("#")[0]]}
            for parcel, name in zip(parcels, names, strict=True)
        ]
        sandbox.seed(shipments=rows, account=account)
        return parcels

    return registered


@pytest.fixture
def personal_data() -> list[str]:
    """Texts that must not leave the hook."""
    return [*map(str, PERSONAL.values()), "Lovelace", "@example.com"]


@pytest.fixture(scope="session")
def run_dag_file(
    airflow_database: None, warm_airflow: WarmAirflow, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Run]:
    """Run a DAG with ``dag.test()`` in its own process."""

    def run(file: Path, dag_id: str, connected: dict[str, dict[str, Any]]) -> Run:
        report = tmp_path_factory.mktemp(dag_id) / "run.json"
        variables = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in connected.items()}
        variables["COLUMNS"] = "1000"  # Airflow 3.0 draws a box around an error, and breaks its lines
        variables |= {"AIRFLOW__CORE__DAGS_FOLDER": str(file.parent), "PYTHONPATH": str(FOLDER.parents[2])}
        program = [str(FOLDER / "run_dag.py"), str(file), dag_id, str(report)]
        done = warm_airflow.run(*program, environment=variables)
        assert report.exists(), done.stdout
        return Run(json.loads(report.read_text()), done.stdout)

    return run


@pytest.fixture(scope="session")
def run_dag(run_dag_file: Callable[..., Run]) -> Callable[..., Run]:
    """Run a DAG of this folder."""
    return lambda dag_id, connected: run_dag_file(FOLDER / "dags" / f"{dag_id}.py", dag_id, connected)


class Run:
    """The result of a DAG run.

    :param tasks: task id (``id[n]`` for a mapped one) -> state, try number and returned XCom.
    :param log: everything that was logged and printed.
    """

    def __init__(self, tasks: dict[str, dict[str, Any]], log: str) -> None:
        self.tasks = tasks
        # dag.test() of Airflow 3.0 prints everything that a task sends, including what is to be masked.
        debug_output = re.compile(r"\[debug .*\] (Sending request|Received message from task runner) .*msg=")
        self.log = "\n".join(line for line in log.splitlines() if not debug_output.search(line))

    def state(self, task: str) -> str:
        return str(self.tasks[task]["state"])

    def returned(self, task: str) -> Any:
        return self.tasks[task]["returned"]
