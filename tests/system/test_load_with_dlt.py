"""Loading with dlt through Airflow itself: each row once, and a second run that adds what is new."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import RunExample

pytest.importorskip("dlt")
pytestmark = [pytest.mark.system, pytest.mark.slow]

EVENTS = "SELECT event_key, first_seen_at FROM trackingmore.tracking_events"


def test_rows_are_loaded_once_and_changes_are_added(
    still_sandbox: SandboxProcess, run_example: RunExample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("LOAD_WITH_DLT_FILE", str(file))
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "first_worker"))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    parcels = [{"carrier_code": "usps", "tracking_number": f"SBX-STUCK-{number}"} for number in (1, 2)]
    still_sandbox.seed(shipments=[parcel | {"age_hours": 48} for parcel in parcels])

    first = run_example("load_with_dlt").returned["load"]
    assert (first["trackings"], first["tracking_status_changes"], first["missing_trackings"]) == (2, 2, 0)
    with duckdb.connect(str(file), read_only=True) as connection:
        before = dict(connection.execute(EVENTS).fetchall())
    assert len(before) == first["tracking_events"] > 4

    still_sandbox.add_event(**parcels[0], description="Held at customs")
    still_sandbox.delete(**parcels[1])
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "second_worker"))  # its state comes from the destination
    second = run_example("load_with_dlt").returned["load"]
    assert (second["trackings"], second["missing_trackings"]) == (1, 1)
    with duckdb.connect(str(file), read_only=True) as connection:
        after = dict(connection.execute(EVENTS).fetchall())
        assert connection.execute("SELECT count(*) FROM trackingmore.trackings").fetchone() == (2,)
        assert connection.execute("SELECT tracking_number FROM trackingmore.missing_trackings").fetchall() == [
            ("SBX-STUCK-2",)
        ]
    assert len(after) == len(before) + 1
    assert {key: after[key] for key in before} == before
