"""Lanes and remote places through Airflow itself."""

from __future__ import annotations

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import RunExample

pytestmark = pytest.mark.system


@pytest.mark.parametrize("ranges", ["share", "percent-sign"])
def test_the_share_of_a_week_is_the_same_however_it_is_written(
    still_sandbox: SandboxProcess, run_example: RunExample, ranges: str
) -> None:
    still_sandbox.switch(costtime_ranges=ranges)

    run = run_example("lane_transit_times")

    lanes = run.returned["transit_times"]
    weekly = run.returned["shares_within_a_week"]
    assert [*weekly] == ["dhl DE-US", "ups DE-US", "dpd DE-PL"]
    for lane, share in zip(lanes, weekly.values(), strict=True):
        assert share == lane["days_0_7"]
        assert 0 < share < 1
    assert still_sandbox.ledger()["by_endpoint"]["POST /trackings/costtime"] == 1


def test_remote_places_are_named_and_cost_one_call(still_sandbox: SandboxProcess, run_example: RunExample) -> None:
    places = [
        {"country": "NO", "postcode": "REMOTE-1", "company": "dhl"},
        {"country": "US", "postcode": "CITY-1"},
    ]

    run = run_example("lane_transit_times", places=places)

    assert [(area["company"], area["postcode"], area["listed_as"]) for area in run.returned["remote_areas"]] == [
        ("dhl", "REMOTE-1", "remote"),
        (None, "CITY-1", "other"),
    ]
    assert "charges extra for None" not in run.log
    assert "dhl charges extra for NO REMOTE-1" in run.log
    assert still_sandbox.ledger()["quota_charged"] == 0.2
