"""Create, delete and realtime operators against the sandbox: what they return, push and log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import AuthenticationError, TrackingMoreError
from airflow_provider_trackingmore.exceptions import BatchInterruptedError, ShipmentsRejectedError
from airflow_provider_trackingmore.operators.trackings import (
    CreateTrackingsOperator,
    DeleteTrackingsOperator,
    RealtimeTrackOperator,
)
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.airflow.parcels import PERSONAL, parcel

Seed = Callable[..., list[dict[str, Any]]]
REFUSED = {"carrier_code": "usps", "tracking_number": "SBX-REJECT-4014-1"}
NO_NUMBER = {"carrier_code": "usps"}


class TaskInstance:
    """Stores what a task pushes."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


pytestmark = pytest.mark.usefixtures("sandbox")


@pytest.fixture
def ti() -> TaskInstance:
    return TaskInstance()


def run(operator: type, ti: TaskInstance, shipments: Any, **arguments: Any) -> Any:
    task = operator(**{"task_id": "t", "shipments": shipments} | arguments)
    return task.execute({"ti": ti})


def numbers(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["tracking_number"] for entry in entries]


# Create --------------------------------------------------------------------------------------------------------------


def test_creating_accounts_for_every_shipment(sandbox: SandboxProcess, seed: Seed, ti: TaskInstance) -> None:
    [registered] = seed("transit")
    report = run(
        CreateTrackingsOperator,
        ti,
        [parcel("soon") | PERSONAL, registered, REFUSED, NO_NUMBER, registered],
        on_rejected="report",
    )
    assert numbers(report["created"]) == ["SBX-DELIVERED-5D-1"]
    assert numbers(report["existing"]) == ["SBX-STUCK-1"]
    assert sorted((item["code"] or 0, item["tracking_number"]) for item in report["rejected"]) == [
        (0, ""),
        (4014, "SBX-REJECT-4014-1"),
    ]
    assert not any(str(value) in str(report) for value in PERSONAL.values())
    assert sandbox.ledger()["quota_charged"] == 1


def test_creating_again_is_safe(sandbox: SandboxProcess, ti: TaskInstance) -> None:
    first = run(CreateTrackingsOperator, ti, parcel("soon"))
    again = run(CreateTrackingsOperator, ti, parcel("soon"))
    assert first["created"] == again["existing"] != []
    assert sandbox.ledger()["created_twice"] == []


def test_the_report_is_pushed_before_the_task_fails(ti: TaskInstance) -> None:
    with pytest.raises(ShipmentsRejectedError) as caught:
        run(CreateTrackingsOperator, ti, [parcel("soon"), REFUSED, NO_NUMBER])
    assert "2 of 3 shipments were rejected" in str(caught.value)
    assert "usps SBX-REJECT-4014-1: " in str(caught.value)
    assert "shipment 3: tracking_number is missing" in str(caught.value)
    assert numbers(ti.pushed["return_value"]["created"]) == ["SBX-DELIVERED-5D-1"]
    assert len(ti.pushed["return_value"]["rejected"]) == 2


def test_nothing_is_pushed_with_do_xcom_push_false(ti: TaskInstance) -> None:
    with pytest.raises(ShipmentsRejectedError):
        run(CreateTrackingsOperator, ti, [REFUSED], do_xcom_push=False)
    assert "return_value" not in ti.pushed


def test_what_was_done_is_pushed_when_the_account_fails_midway(sandbox: SandboxProcess, ti: TaskInstance) -> None:
    sandbox.fault("expired_key", path="/trackings/batch", nth=2)
    parcels = [parcel(f"soon#{number}") for number in range(90)]
    with pytest.raises(BatchInterruptedError, match="check the API key") as caught:
        run(CreateTrackingsOperator, ti, parcels)
    assert isinstance(caught.value.cause, AuthenticationError)
    report = ti.pushed["return_value"]
    assert numbers(report["created"]) == numbers(parcels[:40])
    assert numbers(report["rejected"]) == numbers(parcels[40:])
    assert all("run it again" in item["message"] for item in report["rejected"])


def test_without_quota_each_shipment_is_reported(sandbox: SandboxProcess, ti: TaskInstance) -> None:
    sandbox.change_account(0, quota=0)
    report = run(CreateTrackingsOperator, ti, [parcel("soon"), parcel("soon#2")], on_rejected="report")
    assert len(report["rejected"]) == 2
    assert all("top up the account" in item["message"] for item in report["rejected"])


# Delete --------------------------------------------------------------------------------------------------------------


def test_deleting_twice_is_success(sandbox: SandboxProcess, seed: Seed, ti: TaskInstance) -> None:
    parcels = seed("transit", "delivered")
    first = run(DeleteTrackingsOperator, ti, parcels)
    assert (numbers(first["done"]), first["unchanged"], first["rejected"]) == (numbers(parcels), [], [])
    again = run(DeleteTrackingsOperator, ti, parcels)
    assert (again["done"], numbers(again["unchanged"]), again["rejected"]) == ([], numbers(parcels), [])
    assert sandbox.trackings() == []


def test_deleting_after_a_lost_response_is_success(sandbox: SandboxProcess, seed: Seed, ti: TaskInstance) -> None:
    parcels = seed("transit")
    sandbox.fault("reset_after", path="/trackings/delete")
    report = run(DeleteTrackingsOperator, ti, parcels)
    assert report["rejected"] == []
    assert sandbox.trackings() == []


# Realtime ------------------------------------------------------------------------------------------------------------


def test_realtime_returns_what_the_carrier_says_without_personal_data(
    seed: Seed, personal_data: list[str], ti: TaskInstance
) -> None:
    report = run(RealtimeTrackOperator, ti, seed("delivered", "transit"))
    assert [entry["status"] for entry in report["done"]] == ["delivered", "transit"]
    assert all("raw" not in entry and "outcome" not in entry for entry in report["done"])
    personal_data.remove("A-1001")
    assert not any(secret in str(report) for secret in personal_data)


def test_realtime_returns_the_vendors_record_only_when_asked(seed: Seed, ti: TaskInstance) -> None:
    [one] = run(RealtimeTrackOperator, ti, seed("delivered"), include_raw=True)["done"]
    assert one["raw"]["tracking_number"] == one["tracking_number"]


@pytest.mark.parametrize("answer", ["202", "4012"])
def test_the_two_hour_rule_is_explained_for_each_shipment_and_costs_the_others_nothing(
    sandbox: SandboxProcess, seed: Seed, ti: TaskInstance, answer: str
) -> None:
    first, second = seed("delivered", "transit")
    run(RealtimeTrackOperator, ti, first)
    sandbox.switch(realtime_repeat=answer)
    report = run(RealtimeTrackOperator, ti, [first, second])
    assert numbers(report["done"]) == numbers([second])
    assert numbers(report["rejected"]) == numbers([first])
    assert "only once in 2 hours" in report["rejected"][0]["message"]
    with pytest.raises(ShipmentsRejectedError, match="only once in 2 hours"):
        run(RealtimeTrackOperator, ti, [first], on_rejected="fail")


def test_what_realtime_found_is_pushed_when_the_account_fails_midway(
    sandbox: SandboxProcess, seed: Seed, ti: TaskInstance
) -> None:
    parcels = seed("delivered", "transit", "exception")
    sandbox.fault("expired_key", path="/trackings/realtime", nth=2)
    with pytest.raises(TrackingMoreError):
        run(RealtimeTrackOperator, ti, parcels)
    report = ti.pushed["return_value"]
    assert [(entry["tracking_number"], entry["status"]) for entry in report["done"]] == [
        ("SBX-DELIVERED-1D-1", "delivered")
    ]
    assert numbers(report["rejected"]) == numbers(parcels[1:])
    assert sandbox.ledger()["by_endpoint"]["POST /trackings/realtime"] == 2


def test_without_quota_the_remaining_realtime_queries_are_not_sent(
    sandbox: SandboxProcess, seed: Seed, ti: TaskInstance
) -> None:
    parcels = seed("delivered", "transit", "exception")
    sandbox.change_account(0, quota=0)
    report = run(RealtimeTrackOperator, ti, parcels)
    assert report["done"] == []
    assert numbers(report["rejected"]) == numbers(parcels)
    assert all("top up the account" in item["message"] for item in report["rejected"])
    assert sandbox.ledger()["by_endpoint"]["POST /trackings/realtime"] == 1
