"""Air waybills through Airflow itself: what is logged of them and what they cost."""

from __future__ import annotations

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import RunExample

pytestmark = pytest.mark.system


def test_the_events_of_known_waybills_are_logged_and_unknown_ones_named(
    still_sandbox: SandboxProcess, run_example: RunExample
) -> None:
    run = run_example("air_cargo", waybills=["172-40318825", "001-40318825"])

    assert [*run.returned["track"]] == ["172-40318825"]
    cargo = run.returned["track"]["172-40318825"]
    assert f"172-40318825: Cargolux, {cargo['origin']} to {cargo['destination']}" in run.log
    assert cargo["events"]
    for event in cargo["events"]:
        assert f"172-40318825: {event['event']} {event['station']} " in run.log
    assert "001-40318825: TrackingMore does not know it" in run.log
    assert still_sandbox.ledger()["quota_charged"] == 20


def test_nothing_is_spent_below_the_floor(still_sandbox: SandboxProcess, run_example: RunExample) -> None:
    still_sandbox.change_account(0, quota=539)

    with pytest.raises(AssertionError, match="539 units of quota are left and this task costs 40"):
        run_example("air_cargo")

    assert still_sandbox.ledger()["quota_charged"] == 0
