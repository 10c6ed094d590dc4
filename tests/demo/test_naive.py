"""The poller that the DAG is compared with: it does what people write, and its calls are counted."""

from __future__ import annotations

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from demo.naive import NaivePoller

A_DAY_IN_A_TENTH = 864_000.0


def poll(sandbox: SandboxProcess, *parcels: tuple[str, str], timeout: float = 20) -> NaivePoller:
    sandbox.set_time_scale(A_DAY_IN_A_TENTH)
    rows = [{"order_id": "A", "carrier_code": carrier, "tracking_number": number} for carrier, number in parcels]
    poller = NaivePoller(sandbox.base_url, sandbox.api_key, rows, poll_interval=0.02, timeout=timeout)
    poller.start()
    poller.join(30)
    assert not poller.is_alive()
    return poller


def test_it_registers_each_parcel_and_polls_it_until_it_is_final(trackingmore_sandbox: SandboxProcess) -> None:
    poller = poll(trackingmore_sandbox, ("dhl", "SBX-DELIVERED-1D-N1"), ("ups", "SBX-EXPIRED-2D-N2"))

    assert poller.error is None
    calls = trackingmore_sandbox.calls()
    assert [call["method"] for call in calls[:2]] == ["POST", "POST"]
    polls = [call["path"] for call in calls[2:]]
    assert {*polls} == {"/trackings/dhl/SBX-DELIVERED-1D-N1", "/trackings/ups/SBX-EXPIRED-2D-N2"}
    assert polls[-1] == "/trackings/ups/SBX-EXPIRED-2D-N2", "the slower parcel is polled after the faster one is final"


def test_it_does_not_poll_rejected_parcels_and_stops_after_its_timeout(trackingmore_sandbox: SandboxProcess) -> None:
    poller = poll(trackingmore_sandbox, ("dhll", "SBX-DELIVERED-1D-N3"), ("dhl", "SBX-STUCK-N4"), timeout=0.3)

    assert poller.error is None
    assert {call["path"] for call in trackingmore_sandbox.calls("GET")} == {"/trackings/dhl/SBX-STUCK-N4"}


def test_it_reports_an_error_that_stops_it(trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.fault("html", method="GET", count=None)

    assert poll(trackingmore_sandbox, ("dhl", "SBX-DELIVERED-1D-N5")).error == "JSONDecodeError"
