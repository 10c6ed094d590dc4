"""The DAG that closes orders because of events, in a real Airflow: scheduler, triggerer, API server and all."""

from __future__ import annotations

import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import PEOPLE, PERSONAL_TEXTS, ROOT, Shop, files_holding, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.skipif(__version__.startswith("2."), reason="asset watchers came with Airflow 3.0"),
]
DAG_ID = "close_on_delivery"
ORDERS = (
    ("A-one", "usps", "SBX-DELIVERED-1D-A1"),
    ("B-two", "usps", "SBX-DELIVERED-1D-B1"),
    ("B-two", "usps", "SBX-DELIVERED-6D-B2"),
    ("C-lost", "usps", "SBX-DELIVERED-1D-C1"),
    ("C-lost", "usps", "SBX-EXCEPTION-2D-C2"),
    ("D-partly", "usps", "SBX-DELIVERED-1D-D1"),
    ("D-partly", "usps", "SBX-STUCK-D2"),
)
WITHOUT_ORDER = "SBX-DELIVERED-1D-OTHER"


def test_orders_are_settled_when_their_last_parcel_arrives_or_one_is_lost(tmp_path: Path, the_shop: Shop) -> None:
    from demo.components import Airflow

    the_shop.fill(*ORDERS)
    key = secrets.token_hex(20)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with SandboxProcess(api_keys=[key], start=started, no_limits=True) as sandbox, (tmp_path / "log").open("w") as log:
        sandbox.freeze()
        numbers = [number for _, _, number in ORDERS] + [WITHOUT_ORDER]
        parcels = [{"carrier_code": "usps", "tracking_number": number, "age_hours": 1} for number in numbers]
        sandbox.seed(shipments=[parcel | PEOPLE for parcel in parcels])
        (tmp_path / "dags").mkdir()
        (tmp_path / "dags" / f"{DAG_ID}.py").write_bytes((ROOT / "example_dags" / f"{DAG_ID}.py").read_bytes())
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(sandbox.connection_for(0)),
            "AIRFLOW_CONN_ORDERS_DB": os.environ["AIRFLOW_CONN_ORDERS_DB"],
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
            "CLOSE_ON_DELIVERY_POKE_INTERVAL": "1",
            "TRACKINGMORE_PACING_DIR": str(tmp_path / "pace"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }

        def statuses() -> dict[str, str]:
            return {order_id: order.status for order_id, order in the_shop.orders().items()}

        with Airflow(tmp_path / "airflow", log, settings) as airflow:
            # A list of changes follows the first list: the first round was stored.
            wait_until(lambda: len(sandbox.calls(path="/trackings/get")) >= 3, airflow)
            sandbox.advance(days=3)
            early = {"A-one": "closed", "B-two": "open", "C-lost": "on hold", "D-partly": "open"}
            wait_until(lambda: statuses() == early, airflow)
            sandbox.advance(days=5)
            wait_until(lambda: statuses() == early | {"B-two": "closed"}, airflow)
            wait_until(lambda: {run["state"] for run in runs(airflow)} == {"success"}, airflow)
    assert the_shop.changes() == [("A-one", "closed"), ("B-two", "closed"), ("C-lost", "on hold")]
    orders = the_shop.orders()
    assert orders["C-lost"].reason == "usps SBX-EXCEPTION-2D-C2: delivery exception"
    assert orders["A-one"].delivered_at < orders["B-two"].delivered_at
    assert files_holding(tmp_path, key, *PERSONAL_TEXTS) == []


def runs(airflow: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = airflow.call("GET", f"dags/{DAG_ID}/dagRuns?limit=100")["dag_runs"]
    return found
