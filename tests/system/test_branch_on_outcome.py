"""One parcel through Airflow itself, for each way in which a wait can end."""

from __future__ import annotations

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import RunExample

pytestmark = pytest.mark.system

BRANCHES = ("arrived", "lost", "still_in_transit")


@pytest.mark.parametrize(
    ("number", "branch", "said"),
    [
        ("SBX-DELIVERED-1D-WAY", "arrived", "SBX-DELIVERED-1D-WAY arrived at 20"),
        ("SBX-EXCEPTION-1D-WAY", "lost", "SBX-EXCEPTION-1D-WAY: exception. Send another one"),
        ("SBX-EXPIRED-1D-WAY", "lost", "SBX-EXPIRED-1D-WAY: expired. Send another one"),
        ("SBX-STUCK-WAY", "still_in_transit", "SBX-STUCK-WAY is still transit. Ask the carrier"),
    ],
)
def test_the_branch_follows_from_the_outcome(
    fast_sandbox: SandboxProcess,
    run_example: RunExample,
    monkeypatch: pytest.MonkeyPatch,
    number: str,
    branch: str,
    said: str,
) -> None:
    monkeypatch.setenv("BRANCH_POKE_INTERVAL", "0.3")
    monkeypatch.setenv("BRANCH_TIMEOUT", "5")

    run = run_example("branch_on_outcome", carrier_code="gls", tracking_number=number)

    assert {name: run.states[name] for name in BRANCHES} == dict.fromkeys(BRANCHES, "skipped") | {branch: "success"}
    assert said in run.log
    assert fast_sandbox.ledger()["quota_charged"] == 1
