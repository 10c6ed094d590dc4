"""Register, change and delete thousands of shipments over a socket, also if responses are lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import QuotaExceededError, ResponseLostError, TrackingMoreError
from airflow_provider_trackingmore.api.interruptions import BatchInterruptedError, cause_of
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sandbox.process import SandboxProcess

Shipments = Callable[..., list[dict[str, Any]]]

LOST = ("reset_after", "close_after", "partial", "truncated", "empty", "slow")
"""The server has processed the request, but its response is lost."""
REFUSED = ("429", "500", "503", "html", "reset_before", "close_before")
"""The server has not processed the request."""


def keys(shipments: list[dict[str, Any]]) -> set[ShipmentKey]:
    return {ShipmentKey(shipment["carrier_code"], shipment["tracking_number"]) for shipment in shipments}


def registered(sandbox: SandboxProcess) -> set[ShipmentKey]:
    return {ShipmentKey(row["carrier_code"], row["tracking_number"]) for row in sandbox.trackings()}


def short_timeout(sandbox: SandboxProcess) -> str:
    """Return a connection with a short timeout."""
    return json.dumps(
        sandbox.connection | {"extra": {"pacing": "memory", "timeout_seconds": 1.0, "requests_per_second": 500}}
    )


def test_a_thousand_with_duplicates_rejects_and_existing_ones_are_all_accounted_for(
    hook: TrackingMoreHook, sandbox: SandboxProcess, shipments: Shipments
) -> None:
    good = shipments(900)
    existing = shipments(60, "dhl")
    sandbox.seed(shipments=existing)
    refused = [{"tracking_number": f"SBX-REJECT-4014-{at}", "carrier_code": "ups"} for at in range(20)]
    refused += [{"tracking_number": f"SBX-PENDING-{at}", "carrier_code": "no-such-carrier"} for at in range(10)]
    impossible = [{"tracking_number": "", "carrier_code": "ups"}, {"tracking_number": 12345, "carrier_code": "ups"}]
    mixed = [shipment for group in zip(good[:60], existing, strict=True) for shipment in group]
    given = [*impossible, *mixed, *refused, *good[60:], *good[:8]]
    assert len(given) == 1_000

    report = hook.create_trackings(iter(given))

    assert set(report.created) == keys(good)
    assert set(report.existing) == keys(existing)
    assert Counter(item.code for item in report.rejected) == {4014: 20, 4015: 10, None: 2}
    assert report.duplicates == 8
    assert len(report) + report.duplicates == 1_000
    batches = sandbox.calls("POST", "/trackings/batch")
    assert [call["body"]["items"] for call in batches] == [40] * 24 + [30]
    assert sandbox.ledger()["requests"] == 25
    assert sandbox.ledger()["created_twice"] == []
    assert registered(sandbox) == keys(good) | keys(existing)


def test_any_iterable_and_a_single_shipment_are_accepted(
    hook: TrackingMoreHook, sandbox: SandboxProcess, shipments: Shipments
) -> None:
    (one,) = shipments(1)
    assert len(hook.create_trackings(one).created) == 1  # type: ignore[arg-type]
    assert len(hook.create_trackings({"a": 1, **one}).existing) == 1  # type: ignore[arg-type]
    assert len(hook.create_trackings(tuple(shipments(2))).created) == 1
    assert set(hook.create_trackings(hook.list_trackings()).existing) == keys(shipments(2))
    assert hook.create_trackings([]).totals == "0 created, 0 existing, 0 rejected"


@pytest.mark.parametrize("fault", LOST)
def test_a_response_that_is_lost_after_the_server_acted_does_not_falsify_the_report(
    monkeypatch: pytest.MonkeyPatch, sandbox: SandboxProcess, shipments: Shipments, fault: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_SHORT_TIMEOUT", short_timeout(sandbox))
    sandbox.fault(fault, path="/trackings/batch", nth=2, **({"seconds": 2.0} if fault == "slow" else {}))
    given = shipments(100)
    with TrackingMoreHook("trackingmore_short_timeout") as hook:
        report = hook.create_trackings(given)
    assert set(report.created) == keys(given[:40]) | keys(given[80:])
    assert set(report.existing) == keys(given[40:80])
    assert report.rejected == ()
    assert sandbox.ledger()["created_twice"] == []
    assert sandbox.ledger()["quota_charged"] == 100
    assert len(sandbox.calls("POST", "/trackings/batch")) == 4


@pytest.mark.parametrize("fault", REFUSED)
def test_a_call_that_the_server_did_not_process_is_retried(
    hook: TrackingMoreHook, sandbox: SandboxProcess, shipments: Shipments, fault: str
) -> None:
    sandbox.fault(fault, path="/trackings/batch", nth=2, count=2)
    given = shipments(100)
    report = hook.create_trackings(given)
    assert set(report.created) == keys(given)
    assert report.existing == report.rejected == ()
    assert len(sandbox.calls("POST", "/trackings/batch")) == 5
    assert sandbox.ledger()["created_twice"] == []


def test_random_faults_do_not_change_the_result(
    hook: TrackingMoreHook, sandbox: SandboxProcess, shipments: Shipments
) -> None:
    for at, fault in enumerate(("reset_after", "503", "truncated", "429", "html")):
        sandbox.fault(fault, probability=0.07, seed=at, count=None)
    given = shipments(600)
    report = hook.create_trackings(given)
    assert set(report.created) | set(report.existing) == keys(given) == registered(sandbox)
    assert report.rejected == ()
    assert sandbox.ledger()["created_twice"] == []
    removed = hook.delete_trackings(given)
    assert set(removed.done) | set(removed.unchanged) == keys(given)
    assert registered(sandbox) == set()
    assert sum(sandbox.ledger()["faults"].values()) > 5


def test_a_server_that_stays_down_leaves_a_complete_report(
    hook: TrackingMoreHook, sandbox: SandboxProcess, shipments: Shipments
) -> None:
    sandbox.fault("reset_after", path="/trackings/batch", nth=2, count=None)
    given = shipments(130)
    with pytest.raises(BatchInterruptedError) as caught:
        hook.create_trackings([*given, given[0], {}])
    report = caught.value.report
    assert isinstance(caught.value.cause, ResponseLostError)
    assert set(report.done) == keys(given[:40])
    assert report.duplicates == 1
    assert len(report) == 131
    messages = {item.tracking_number: item.message for item in report.rejected}
    assert "may or may not have been processed" in messages[given[40]["tracking_number"]]
    assert "not sent" in messages[given[129]["tracking_number"]]
    sandbox.clear_faults()
    again = hook.create_trackings(given)
    assert (len(again.created), len(again.existing)) == (50, 80)
    assert sandbox.ledger()["created_twice"] == []


@pytest.mark.parametrize("position", ["errors", "refuse", "applied-then-4021"])
def test_quota_that_runs_out_rejects_only_unregistered_shipments(
    hook: TrackingMoreHook, sandbox: SandboxProcess, shipments: Shipments, position: str
) -> None:
    sandbox.switch(batch_quota=position)
    existing = shipments(5, first=190)
    sandbox.seed(shipments=existing)
    sandbox.change_account(quota=70)
    given = shipments(200)
    report = hook.create_trackings(given)
    assert {*report.created, *report.existing} == registered(sandbox)
    assert keys(existing) <= set(report.existing)
    assert {item.code for item in report.rejected} == {4021}
    assert {ShipmentKey(item.carrier_code, item.tracking_number) for item in report.rejected} == keys(
        given
    ) - registered(sandbox)
    assert sandbox.accounts()[0]["quota_left"] == (30 if position == "refuse" else 0)
    sandbox.change_account(quota=0)
    with pytest.raises(QuotaExceededError):
        hook.create_tracking(given[150])


def test_changes_and_deletions_report_on_every_shipment_too(
    hook: TrackingMoreHook, sandbox: SandboxProcess, shipments: Shipments
) -> None:
    there, missing = shipments(90), shipments(5, "dhl")
    sandbox.seed(shipments=there)
    changes = [shipment | {"title": "Changed", "archived": True} for shipment in (*there, *missing)]
    changed = hook.update_trackings([*changes, there[0] | {"status": "lost"}, {"title": "of nothing"}])
    assert set(changed.done) == keys(there)
    assert Counter(item.code for item in changed.rejected) == {4017: 5, None: 1}
    assert changed.duplicates == 1
    assert all(row["archived"] for row in sandbox.trackings())
    stopped = hook.stop_updates([*there, *missing])
    assert set(stopped.done) == keys(there)
    assert {item.code for item in stopped.rejected} == {4017}
    assert not any(row["track_update"] for row in sandbox.trackings())
    removed = hook.delete_trackings([*there, *missing])
    assert set(removed.done) == keys(there)
    assert set(removed.unchanged) == keys(missing)
    assert removed.rejected == ()
    assert registered(sandbox) == set()
    assert [call["body"]["items"] for call in sandbox.calls("POST")] == [40, 40, 15] * 3


@pytest.mark.parametrize("fault", ["reset_after", "truncated"])
def test_a_single_shipment_survives_a_lost_response_as_a_batch_does(
    hook: TrackingMoreHook, sandbox: SandboxProcess, shipments: Shipments, fault: str
) -> None:
    (one,) = shipments(1)
    sandbox.fault(fault, path="/trackings/post")
    created = hook.create_tracking(one | {"title": "Mine"})
    assert (created.created, created.title) == (False, "Mine")
    sandbox.fault(fault, path="/trackings/update")
    hook.change_carrier(carrier_code="usps", tracking_number=one["tracking_number"], new_carrier_code="dhl")
    sandbox.fault(fault, method="PUT")
    assert hook.update_tracking("dhl", one["tracking_number"], title="Theirs").title == "Theirs"
    sandbox.fault(fault, method="DELETE")
    hook.delete_tracking("dhl", one["tracking_number"])
    assert registered(sandbox) == set()
    assert sandbox.ledger()["created_twice"] == []
    assert sandbox.ledger()["faults"] == {fault: 4}


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/carriers/detect", lambda hook: hook.detect_carrier("RN123456785CN")),
        ("/trackings/remote", lambda hook: hook.check_remote_areas([{"country": "US", "postcode": "1"}])),
        ("/trackings/aircargo", lambda hook: hook.track_air_cargo(["172-28891937"])),
        (
            "/trackings/realtime",
            lambda hook: hook.realtime_tracking({"tracking_number": "N0001", "carrier_code": "ups"}),
        ),
    ],
)
def test_calls_that_spend_quota_are_not_retried_after_they_were_sent(
    hook: TrackingMoreHook, sandbox: SandboxProcess, path: str, call: Callable[[TrackingMoreHook], object]
) -> None:
    sandbox.fault("reset_after", path=path, count=None)
    with pytest.raises(TrackingMoreError, check=lambda error: isinstance(cause_of(error), ResponseLostError)):
        call(hook)
    assert len(sandbox.calls("POST", path)) == 1
    sandbox.clear_faults()
    sandbox.advance(hours=3)
    sandbox.fault("503", path=path)
    call(hook)
    assert len(sandbox.calls("POST", path)) == 3


def test_many_places_lanes_and_waybills_are_sent_in_several_calls(
    hook: TrackingMoreHook, sandbox: SandboxProcess
) -> None:
    places = [{"country": "US", "postcode": f"REMOTE-{at}", "company": "dhl"} for at in range(90)]
    assert [area.postcode for area in hook.check_remote_areas(places)] == [place["postcode"] for place in places]
    lanes = [{"carrier_code": "usps", "original": "US", "destination": code} for code in ("DE", "FR", "PL") * 15]
    assert len(hook.get_transit_times(lanes)) == 45
    waybills = [f"172-2889{at:04d}" for at in range(41)]
    assert list(hook.track_air_cargo(waybills)) == waybills
    assert [call["body"]["items"] for call in sandbox.calls("POST", "/trackings/remote")] == [40, 40, 10]
    assert [call["body"]["items"] for call in sandbox.calls("POST", "/trackings/costtime")] == [40, 5]
    assert len(sandbox.calls("POST", "/trackings/aircargo")) == 3
    assert sandbox.ledger()["quota_charged"] == pytest.approx(41 * 20 + 3 * 0.2)


def test_a_wait_beyond_the_budget_leaves_a_complete_report(sandbox: SandboxProcess, shipments: Shipments) -> None:
    sandbox.fault("429", path="/trackings/batch", nth=2, count=None)
    with TrackingMoreHook(max_wait_seconds=0.1) as hook, pytest.raises(BatchInterruptedError) as caught:
        hook.create_trackings(shipments(80))
    assert caught.value.code == 429
    assert (len(caught.value.report.done), len(caught.value.report.rejected)) == (40, 40)
    assert sandbox.ledger()["rate_limited"] == 1
