"""The nightly report through Airflow itself: what it loads, reports and warns about."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import RunExample

pytestmark = pytest.mark.system

NIGHT = "2026-03-03T00:00:00+00:00"
NEXT_NIGHT = "2026-03-04T00:00:00+00:00"
HOURS = {
    "SBX-DELIVERED-1D-BEFORE": 24 * 20,
    "SBX-DELIVERED-1D-CHANGED": 20,
    "SBX-STUCK-NEW": 24,
    "SBX-PENDING-AFTER": 0.1,
}


@pytest.fixture
def account(trackingmore_sandbox: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    monkeypatch.setenv("STATUS_REPORT_SQL_CONN_ID", "nightly_warehouse")
    connection = {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_NIGHTLY_WAREHOUSE", json.dumps(connection))
    trackingmore_sandbox.reset(start="2026-03-03T00:10:00+00:00")
    trackingmore_sandbox.freeze()
    trackingmore_sandbox.seed(
        shipments=[
            {"carrier_code": "dhl", "tracking_number": number, "age_hours": hours} for number, hours in HOURS.items()
        ]
    )
    return trackingmore_sandbox


def rows(tmp_path: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(tmp_path / "warehouse.db") as database:
        return database.execute(query).fetchall()


@pytest.mark.parametrize("updated_at", ["null", "time"])
def test_it_loads_everything_and_then_what_has_changed(
    account: SandboxProcess, run_example: RunExample, tmp_path: Path, updated_at: str
) -> None:
    account.switch(updated_at_delivered=updated_at)

    first = run_example("status_report", NIGHT)
    account.advance(24 * 3600)
    second = run_example("status_report", NEXT_NIGHT)

    assert first.returned["load"]["rows"]["trackings"] == {"new": 4, "changed": 0, "unchanged": 0}
    assert first.returned["report"]["changed"] == {"delivered": 1, "pending": 1, "pickup": 1, "transit": 1}
    assert second.returned["load"]["rows"]["trackings"]["new"] == 0
    assert second.returned["report"]["changed"] == {"delivered": 1}
    assert "Changed: 1 delivered" in second.log
    assert dict(rows(tmp_path, "SELECT tracking_number, status FROM trackings")) == {
        "SBX-DELIVERED-1D-BEFORE": "delivered",
        "SBX-DELIVERED-1D-CHANGED": "delivered",
        "SBX-STUCK-NEW": "transit",
        "SBX-PENDING-AFTER": "pending",
    }
    assert "top up the account" not in second.log
    assert account.ledger()["quota_charged"] == 0


def test_repeating_it_changes_nothing(account: SandboxProcess, run_example: RunExample, tmp_path: Path) -> None:
    everything = "SELECT tracking_number, event_key, first_seen_at, superseded_at FROM tracking_events ORDER BY 1, 2"
    run_example("status_report", NIGHT)
    events = rows(tmp_path, everything)

    run = run_example("status_report", NIGHT)

    counts = run.returned["load"]["rows"]["trackings"]
    assert (counts["new"], counts["changed"]) == (0, 0)
    assert run.returned["report"]["changed"] == {}
    assert rows(tmp_path, everything) == events != []


def test_it_warns_when_quota_runs_low(account: SandboxProcess, run_example: RunExample) -> None:
    account.change_account(0, quota=17)

    run = run_example("status_report", NIGHT)

    assert run.returned["account"]["quota_left"] == 17
    assert "Only 17 more shipments can be registered: top up the account" in run.log
