"""Every example of the documentation, run once against a sandbox whose clock moves only between two of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.warm_airflow import WarmAirflow

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"

REGISTER = ("create_trackings",)
"""What the other examples read and change; three days pass before they do."""
LATER = (
    "get_trackings",
    "list_trackings",
    "count_by_status",
    "shipment_delivered",
    "shipment_status",
    "shipment_orders",
    "update_trackings",
    "realtime_track",
    "stop_updates",
    "change_carrier",
    "delete_trackings",
    "list_carriers",
    "detect_carrier",
    "transit_times",
    "remote_areas",
    "track_air_cargo",
    "get_account",
    "retry_policy",
    "trackingmore_to_sql",
    "trackingmore_to_object_storage",
)

Tasks = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def quiet_sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(
        api_keys=("key-of-the-docs",), no_limits=True, start="2026-03-02T08:00:00+00:00", seed=3, pacing="memory"
    ) as running:
        running.freeze()
        yield running


@pytest.fixture(scope="session")
def run_examples(
    quiet_sandbox: SandboxProcess,
    airflow_database: None,
    warm_airflow: WarmAirflow,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Any]:
    def run(names: tuple[str, ...]) -> dict[str, Tasks]:
        directory = tmp_path_factory.mktemp("examples")
        report = directory / "report.json"
        files = [str(EXAMPLES / f"{name}.py") for name in names]
        variables = {
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(quiet_sandbox.connection),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(directory / "warehouse.db")}),
            "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
            "PYTHONPATH": str(ROOT),
        }
        program = str(Path(__file__).with_name("run_examples.py"))
        done = warm_airflow.run(program, str(report), *files, environment=variables, cwd=directory)
        assert report.exists(), done.stdout
        found: dict[str, Tasks] = json.loads(report.read_text())
        return found

    return run


@pytest.fixture(scope="session")
def examples(quiet_sandbox: SandboxProcess, run_examples: Callable[..., Any]) -> dict[str, Tasks]:
    """Example -> task -> state and result."""
    found: dict[str, Tasks] = run_examples(REGISTER)
    quiet_sandbox.advance(days=3)
    return found | run_examples(LATER)
