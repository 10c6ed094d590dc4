"""The nightly report through Airflow itself: what it counts, writes down and warns of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import RunExample

pytestmark = pytest.mark.system

THE_NIGHT_AFTER = "2026-03-03T00:00:00+00:00"
HOURS = {
    "SBX-DELIVERED-1D-BEFORE": 24 * 20,  # registered and delivered long before the day
    "SBX-DELIVERED-1D-CHANGED": 30,  # registered the day before, delivered in it
    "SBX-STUCK-NEW": 24,  # registered in it
    "SBX-PENDING-AFTER": 0.1,  # registered after midnight
}


@pytest.fixture
def morning(trackingmore_sandbox: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """Ten minutes after the end of the day that the report is about."""
    monkeypatch.setenv("STATUS_REPORT_FOLDER", str(tmp_path))
    trackingmore_sandbox.reset(start="2026-03-03T00:10:00+00:00")
    trackingmore_sandbox.freeze()
    trackingmore_sandbox.seed(
        shipments=[
            {"carrier_code": "dhl", "tracking_number": number, "age_hours": hours} for number, hours in HOURS.items()
        ]
    )
    return trackingmore_sandbox


def test_it_counts_all_and_writes_them_down(morning: SandboxProcess, run_example: RunExample, tmp_path: Path) -> None:
    run = run_example("status_report", THE_NIGHT_AFTER)

    counts = run.returned["count_all"]
    assert {status: count for status, count in counts.items() if count} == {"delivered": 2, "transit": 1, "pending": 1}
    assert sum(run.returned["count_registered"].values()) == 1
    file = tmp_path / "shipments-2026-03-02.ndjson"
    assert run.returned["write_all"] == {"rows": 4, "path": str(file), "trackings": None}
    written = {entry["tracking_number"]: entry["status"] for entry in map(json.loads, file.read_text().splitlines())}
    assert written == {
        "SBX-DELIVERED-1D-BEFORE": "delivered",
        "SBX-DELIVERED-1D-CHANGED": "delivered",
        "SBX-STUCK-NEW": "transit",
        "SBX-PENDING-AFTER": "pending",
    }
    assert "top up the account" not in run.log
    assert morning.ledger()["quota_charged"] == 0


@pytest.mark.parametrize("updated_at", ["null", "null-at-first-refresh", "time"])
def test_a_delivery_that_the_vendor_does_not_date_is_among_what_changed(
    morning: SandboxProcess, run_example: RunExample, tmp_path: Path, updated_at: str
) -> None:
    morning.switch(updated_at_delivered=updated_at)
    before = {"SBX-DELIVERED-1D-BEFORE": "delivered", "SBX-DELIVERED-1D-CHANGED": "transit"}
    (tmp_path / "shipments-2026-03-01.ndjson").write_text(
        "".join(
            json.dumps({"carrier_code": "dhl", "tracking_number": number, "status": status}) + "\n"
            for number, status in before.items()
        )
    )

    run = run_example("status_report", THE_NIGHT_AFTER)

    assert run.returned["count_changed"] == {"delivered": 1, "transit": 1, "pending": 1}
    assert "Registered: 1. Changed: " in run.log
    assert "1 delivered" in run.log


def test_repeating_it_writes_the_same_file_anew(
    morning: SandboxProcess, run_example: RunExample, tmp_path: Path
) -> None:
    run_example("status_report", THE_NIGHT_AFTER)
    [file] = tmp_path.iterdir()
    assert file.name == "shipments-2026-03-02.ndjson"
    first = file.read_text()

    run_example("status_report", THE_NIGHT_AFTER)

    assert [one.name for one in tmp_path.iterdir()] == [file.name]
    assert file.read_text() == first


def test_it_warns_when_quota_runs_low(morning: SandboxProcess, run_example: RunExample) -> None:
    morning.change_account(0, quota=17)

    run = run_example("status_report", THE_NIGHT_AFTER)

    assert run.returned["account"]["quota_left"] == 17
    assert "Only 17 more shipments can be registered: top up the account" in run.log
