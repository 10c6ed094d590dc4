"""A shipment with the wrong carrier through Airflow itself."""

from __future__ import annotations

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import RunExample

pytestmark = pytest.mark.system

NUMBER = "SBX-DELIVERED-2D-ONE"


@pytest.fixture
def wrong_carrier(fast_sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    monkeypatch.setenv("ONE_SHIPMENT_POKE_INTERVAL", "0.3")
    fast_sandbox.seed(shipments=[{"carrier_code": "dhl", "tracking_number": NUMBER}])
    return fast_sandbox


def test_it_is_moved_to_the_right_carrier_which_is_queried_once(
    wrong_carrier: SandboxProcess, run_example: RunExample
) -> None:
    run = run_example("one_shipment", tracking_number=NUMBER, carrier_code="dhl", new_carrier_code="ups")

    [known] = wrong_carrier.trackings()
    assert known["carrier_code"] == "ups"
    [found] = run.returned["read"]["found"]
    assert (found["carrier_code"], found["tracking_number"]) == ("ups", NUMBER)
    assert f"ups {NUMBER}: {found['status']}" in run.log
    assert found["status"] in ("transit", "pickup", "delivered")
    assert wrong_carrier.ledger()["by_endpoint"]["POST /trackings/realtime"] == 1
    assert wrong_carrier.ledger()["quota_charged"] == 0


def test_a_carrier_that_does_not_exist_changes_nothing(wrong_carrier: SandboxProcess, run_example: RunExample) -> None:
    with pytest.raises(AssertionError, match="TrackingMore does not support the carrier 'upps'"):
        run_example("one_shipment", tracking_number=NUMBER, carrier_code="dhl", new_carrier_code="upps")

    assert [shipment["carrier_code"] for shipment in wrong_carrier.trackings()] == ["dhl"]
