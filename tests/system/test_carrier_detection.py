"""Numbers without a carrier through Airflow itself: which are registered, which are left to people, what it costs."""

from __future__ import annotations

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import RunExample

pytestmark = pytest.mark.system

ONE_CARRIER = "1Z84A2160339175268"
TWO_CARRIERS = "SBX-DELIVERED-2D-WHOSE"
NO_CARRIER = "SBX-UNDETECTABLE-1"


def test_only_numbers_with_one_carrier_are_registered(still_sandbox: SandboxProcess, run_example: RunExample) -> None:
    run = run_example("carrier_detection", tracking_numbers=[ONE_CARRIER, TWO_CARRIERS, NO_CARRIER])

    [known] = still_sandbox.trackings()
    assert (known["carrier_code"], known["tracking_number"]) == ("ups", ONE_CARRIER)
    assert run.returned["register"]["created"] == [{"carrier_code": "ups", "tracking_number": ONE_CARRIER}]
    assert f"{TWO_CARRIERS}: one of DHL, UPS" in run.log
    assert f"{NO_CARRIER}: no carrier" in run.log
    assert still_sandbox.ledger()["by_endpoint"]["POST /carriers/detect"] == 3


def test_again_registers_nothing_new(still_sandbox: SandboxProcess, run_example: RunExample) -> None:
    run_example("carrier_detection", tracking_numbers=[ONE_CARRIER])

    again = run_example("carrier_detection", tracking_numbers=[ONE_CARRIER])

    assert (again.returned["register"]["created"], len(again.returned["register"]["existing"])) == ([], 1)
    assert still_sandbox.ledger()["created_twice"] == []


def test_nothing_is_requested_when_too_little_quota_would_remain(
    still_sandbox: SandboxProcess, run_example: RunExample
) -> None:
    still_sandbox.change_account(0, quota=100)

    with pytest.raises(AssertionError, match="less than quota_floor=100 would remain"):
        run_example("carrier_detection", tracking_numbers=[ONE_CARRIER])

    assert "POST /carriers/detect" not in still_sandbox.ledger()["by_endpoint"]
    assert still_sandbox.trackings() == []
