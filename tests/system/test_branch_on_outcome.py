"""One parcel through Airflow itself, for each way in which a wait can end."""

from __future__ import annotations

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import RunExample

pytestmark = pytest.mark.system

WAYS = ("arrived", "lost", "still_on_its_way")


@pytest.mark.parametrize(
    ("number", "way", "said"),
    [
        ("SBX-DELIVERED-1D-WAY", "arrived", "SBX-DELIVERED-1D-WAY arrived at 20"),
        ("SBX-EXCEPTION-1D-WAY", "lost", "SBX-EXCEPTION-1D-WAY: exception. Send another one"),
        ("SBX-EXPIRED-1D-WAY", "lost", "SBX-EXPIRED-1D-WAY: expired. Send another one"),
        ("SBX-STUCK-WAY", "still_on_its_way", "SBX-STUCK-WAY is still transit. Ask the carrier"),
    ],
)
def test_the_dag_goes_the_way_the_parcel_went(
    fast_sandbox: SandboxProcess,
    run_example: RunExample,
    monkeypatch: pytest.MonkeyPatch,
    number: str,
    way: str,
    said: str,
) -> None:
    monkeypatch.setenv("BRANCH_POKE_INTERVAL", "0.3")
    monkeypatch.setenv("BRANCH_TIMEOUT", "5")

    run = run_example("branch_on_outcome", carrier_code="gls", tracking_number=number)

    assert {name: run.states[name] for name in WAYS} == {name: "success" if name == way else "skipped" for name in WAYS}
    assert said in run.log
    assert fast_sandbox.ledger()["quota_charged"] == 1
