"""A task that would leave less than ``quota_floor`` fails before it spends any quota, and says how much is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidArgumentError, TrackingMoreError
from airflow_provider_trackingmore.exceptions import QuotaFloorError
from airflow_provider_trackingmore.operators.air_cargo import TrackAirCargoOperator
from airflow_provider_trackingmore.operators.carriers import DetectCarrierOperator, RemoteAreasOperator
from airflow_provider_trackingmore.operators.trackings import CreateTrackingsOperator
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.airflow.parcels import parcel
from tests.integration.client.fault_server import FaultServer, answer, envelope
from tests.integration.operators.conftest import Execute

ACCOUNT = "GET /trackings/getuserinfo"
PARCELS = [parcel("soon"), parcel("soon#2"), parcel("soon")]
NUMBERS = [f"1Z0E9W81031234567{digit}" for digit in range(5)]
PLACES = [{"country": "US", "postcode": f"REMOTE-{number}"} for number in range(41)]
WAYBILLS = ["172-31415926", "020-27182818", "020-27182818"]
each_spending_operator = pytest.mark.parametrize(
    ("operator", "arguments", "cost"),
    [
        (CreateTrackingsOperator, {"shipments": PARCELS}, 2.0),
        (DetectCarrierOperator, {"tracking_numbers": NUMBERS}, 1.0),
        (DetectCarrierOperator, {"tracking_numbers": NUMBERS[:3]}, 0.6),
        (RemoteAreasOperator, {"places": PLACES}, 0.4),
        (TrackAirCargoOperator, {"waybills": WAYBILLS}, 40.0),
    ],
    ids=["create", "detect five", "detect three", "remote", "air cargo"],
)


@each_spending_operator
def test_below_the_floor_nothing_is_spent(
    sandbox: SandboxProcess, execute: Execute, operator: type, arguments: dict[str, Any], cost: float
) -> None:
    sandbox.change_account(0, quota=100)
    with pytest.raises(QuotaFloorError) as caught:
        execute(operator, **arguments, quota_floor=100 - cost + 0.1)
    assert f"100 units of quota are left and this task costs {cost:g}" in str(caught.value)
    assert "No quota was spent" in str(caught.value)
    assert sandbox.ledger()["by_endpoint"] == {ACCOUNT: 1}
    assert sandbox.ledger()["quota_charged"] == 0


@each_spending_operator
@pytest.mark.parametrize("as_text", [False, True], ids=["number", "text"])
def test_at_the_floor_the_task_runs(
    sandbox: SandboxProcess, execute: Execute, operator: type, arguments: dict[str, Any], cost: float, as_text: bool
) -> None:
    sandbox.change_account(0, quota=100)
    floor = round(100 - cost, 1)
    execute(operator, **arguments, quota_floor=f" {floor} " if as_text else floor)
    assert sandbox.ledger()["quota_charged"] == cost
    assert sandbox.ledger()["by_endpoint"][ACCOUNT] == 1


@each_spending_operator
@pytest.mark.parametrize("floor", [None, "None", ""])
def test_without_a_floor_the_account_is_not_read(
    sandbox: SandboxProcess, execute: Execute, operator: type, arguments: dict[str, Any], cost: float, floor: Any
) -> None:
    execute(operator, **arguments, quota_floor=floor)
    assert ACCOUNT not in sandbox.ledger()["by_endpoint"]
    assert sandbox.ledger()["quota_charged"] == cost


@each_spending_operator
@pytest.mark.parametrize("floor", ["plenty", "nan", "inf", -1, True, [100]])
def test_a_floor_that_is_not_a_number_spends_nothing(
    sandbox: SandboxProcess, execute: Execute, operator: type, arguments: dict[str, Any], cost: float, floor: Any
) -> None:
    with pytest.raises(InvalidArgumentError, match="quota_floor must be a number, 0 or more, not "):
        execute(operator, **arguments, quota_floor=floor)
    assert sandbox.ledger()["requests"] == 0


@each_spending_operator
def test_an_account_that_cannot_be_read_spends_nothing(
    sandbox: SandboxProcess, execute: Execute, operator: type, arguments: dict[str, Any], cost: float
) -> None:
    sandbox.fault("500", path="/trackings/getuserinfo", count=None)
    with pytest.raises(TrackingMoreError):
        execute(operator, **arguments, quota_floor=1, trackingmore_conn_id="trackingmore_once")
    assert sandbox.ledger()["by_endpoint"] == {ACCOUNT: 1}


@pytest.fixture
def account_without_quota(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    """An account whose response does not contain the remaining quota."""
    server = FaultServer()
    server.does(answer(envelope(data={"email": "a@shop.example", "money": 0})))
    connection = {
        "conn_type": "trackingmore",
        "host": server.url,
        "password": "key-3c2b1a",
        "extra": {"requests_per_second": 1000, "pacing": "memory"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))
    yield server
    server.close()


@each_spending_operator
def test_an_unknown_quota_spends_nothing(
    account_without_quota: FaultServer, operator: Any, arguments: dict[str, Any], cost: float
) -> None:
    with pytest.raises(QuotaFloorError, match=r"TrackingMore does not say how much quota is left\. No quota was spent"):
        operator(task_id="t", **arguments, quota_floor=0).execute({})
    assert [request.split(b" ")[1] for request in account_without_quota.requests] == [b"/v2/trackings/getuserinfo"]


def test_invalid_shipments_cost_nothing(sandbox: SandboxProcess, execute: Execute) -> None:
    arguments = {"shipments": [{"carrier_code": "usps"}], "on_rejected": "report"}
    assert len(execute(CreateTrackingsOperator, **arguments, quota_floor=10**9)["rejected"]) == 1
    assert sandbox.ledger()["requests"] == 0


def test_fifths_of_a_unit_are_added_exactly(sandbox: SandboxProcess, execute: Execute) -> None:
    """In binary, 1 - 3 * 0.2 is less than 0.4."""
    sandbox.change_account(0, quota=1)
    execute(DetectCarrierOperator, tracking_numbers=NUMBERS[:3], quota_floor=0.4)
    assert sandbox.ledger()["quota_charged"] == 0.6
