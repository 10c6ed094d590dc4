"""The DAG that is scheduled on changes, in a real Airflow: scheduler, triggerer, API server and all.

It is killed and changed at any moment in ``tests/chaos/changes_killed.py``.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.slack_webhook import SlackWebhook

from .conftest import PEOPLE, ROOT, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(__version__.startswith("2."), reason="asset watchers came with Airflow 3.0"),
]
DAG_ID = "notify_on_exception"
TROUBLE = {"carrier_code": "usps", "tracking_number": "SBX-EXCEPTION-1D-1"}
FINE = {"carrier_code": "usps", "tracking_number": "SBX-DELIVERED-1D-2"}


def test_a_parcel_in_trouble_starts_a_run_that_posts_it(tmp_path: Path, slack: SlackWebhook) -> None:
    pytest.importorskip("airflow.providers.slack")
    from demo.components import Airflow

    key = secrets.token_hex(20)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with SandboxProcess(api_keys=[key], start=started, no_limits=True) as sandbox, (tmp_path / "log").open("w") as log:
        sandbox.freeze()
        sandbox.seed(shipments=[parcel | PEOPLE | {"age_hours": 1} for parcel in (TROUBLE, FINE)])
        (tmp_path / "dags").mkdir()
        (tmp_path / "dags" / f"{DAG_ID}.py").write_bytes((ROOT / "example_dags" / f"{DAG_ID}.py").read_bytes())
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(sandbox.connection_for(0)),
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
            "AIRFLOW_CONN_SLACK": slack.connection,
            "NOTIFY_ON_EXCEPTION_POKE_INTERVAL": "1",
            "TRACKINGMORE_PACING_DIR": str(tmp_path / "pace"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }
        with Airflow(tmp_path / "airflow", log, settings) as airflow:
            # A list of changes follows the first list: the first round was stored.
            wait_until(lambda: len(sandbox.calls(path="/trackings/get")) >= 3, airflow)
            sandbox.advance(days=3)
            wait_until(lambda: slack.texts, airflow)
            wait_until(lambda: rows(airflow, "SELECT 1 FROM dag_run WHERE state = 'success'"), airflow)
            extras = [json.loads(extra) for (extra,) in rows(airflow, "SELECT extra FROM asset_event")]
    assert slack.texts == ["usps SBX-EXCEPTION-1D-1: exception"]
    (change,) = [change for extra in extras for change in extra["payload"]["changes"]]
    assert (change["tracking_number"], change["status"]) == ("SBX-EXCEPTION-1D-1", "exception")
    written = json.dumps(extras) + (tmp_path / "log").read_text()
    for secret in (key, PEOPLE["customer_email"], PEOPLE["customer_name"]):
        assert secret not in written


def rows(airflow: Any, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(airflow.home / "airflow.db", timeout=60)) as database:
        return database.execute(query).fetchall()
