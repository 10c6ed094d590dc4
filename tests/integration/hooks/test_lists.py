"""Lists and lookups over a socket: lists that change while they are read, and as few calls as the limits allow."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from airflow_provider_trackingmore.api.models import ShipmentStatus
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sandbox.process import SandboxProcess

Shipments = Callable[..., list[dict[str, Any]]]


def keys(rows: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(row["carrier_code"], row["tracking_number"]) for row in rows}


@pytest.mark.parametrize(("count", "filters"), [(10_000, {}), (3_000, {"status": "transit"})])
def test_thousands_of_rows_are_returned_once_while_others_are_added_and_deleted(
    hook: TrackingMoreHook, sandbox: SandboxProcess, count: int, filters: dict[str, Any]
) -> None:
    sandbox.freeze()  # a stopped clock has no rate limit, so the other program can delete as fast as it can
    rows = sandbox.seed(count, journey="STUCK", ages_days=(1, 20))
    rng = random.Random(4)
    staying = keys(rows)
    added = itertools.count()
    seen: list[tuple[str, str]] = []
    with requests.Session() as other:
        other.headers["Trackingmore-Api-Key"] = sandbox.api_key
        found = hook.list_trackings(page_size=count // 10, **filters)
        for at, tracking in enumerate(found):
            seen.append(tuple(tracking.key))
            if at % (count // 25) == 0:
                for carrier, number in rng.sample(sorted(staying), 5):
                    staying.discard((carrier, number))
                    other.delete(f"{sandbox.base_url}/trackings/{carrier}/{number}").raise_for_status()
                new = [
                    {"carrier_code": "dhl", "tracking_number": f"SBX-STUCK-NEW{next(added)}", "age_hours": hours}
                    for hours in (0, rng.uniform(24, 480))
                ]
                sandbox.seed(shipments=new)
    assert len(seen) == len(set(seen))
    assert staying <= set(seen)
    assert len(sandbox.calls("GET", "/trackings/get")) <= 40
    assert len(staying) > 0.9 * count


def test_a_list_that_does_not_change_costs_one_call_per_page(hook: TrackingMoreHook, sandbox: SandboxProcess) -> None:
    sandbox.seed(10_000, ages_days=(1, 20))
    assert sum(1 for _ in hook.list_trackings()) == 10_000
    assert sandbox.ledger()["requests"] <= 5 + 1


def test_pages_are_fetched_as_they_are_needed(hook: TrackingMoreHook, sandbox: SandboxProcess) -> None:
    sandbox.seed(500, ages_days=(1, 20))
    found = hook.list_trackings(page_size=100)
    assert sandbox.ledger()["requests"] == 0
    next(found)
    assert sandbox.ledger()["requests"] == 1
    assert len(list(itertools.islice(found, 90))) == 90
    assert sandbox.ledger()["requests"] == 1


def test_a_list_is_complete_although_responses_are_lost(hook: TrackingMoreHook, sandbox: SandboxProcess) -> None:
    rows = sandbox.seed(1_000, ages_days=(1, 20))
    for at, fault in enumerate(("partial", "503", "html")):
        sandbox.fault(fault, probability=0.2, seed=at, count=None)
    seen = [tuple(tracking.key) for tracking in hook.list_trackings(page_size=100)]
    assert set(seen) == keys(rows)
    assert len(seen) == 1_000
    assert sandbox.ledger()["faults"]


def test_filters_select_shipments(hook: TrackingMoreHook, sandbox: SandboxProcess) -> None:
    now = datetime.fromtimestamp(sandbox.clock()["unix"], UTC)
    rows = [
        {
            "carrier_code": "ups",
            "tracking_number": f"SBX-STUCK-{day}",
            "age_hours": day * 24,
            "order_id": f"O-{day % 3}",
        }
        for day in range(1, 10)
    ]
    sandbox.seed(shipments=rows)
    numbers = lambda **filters: {row.tracking_number for row in hook.list_trackings(**filters)}  # noqa: E731
    recent = {f"SBX-STUCK-{day}" for day in (1, 2, 3)}
    assert numbers(created_at_min=now - timedelta(days=3.5)) == recent
    assert numbers(created_at_min=int(now.timestamp()) - 302_400, page_size=1) == recent
    assert numbers(created_at_max=now - timedelta(days=7.5)) == {"SBX-STUCK-8", "SBX-STUCK-9"}
    assert numbers(orders=["O-0"]) == {"SBX-STUCK-3", "SBX-STUCK-6", "SBX-STUCK-9"}
    assert numbers(numbers=["SBX-STUCK-5", "SBX-STUCK-99"]) == {"SBX-STUCK-5"}
    assert len(numbers(status=ShipmentStatus.TRANSIT)) == 9
    assert numbers(status="delivered") == set()


def test_a_lookup_requests_forty_shipments_per_call(
    hook: TrackingMoreHook, sandbox: SandboxProcess, shipments: Shipments
) -> None:
    there = shipments(130)
    sandbox.seed(shipments=there)
    found = hook.find_trackings([*there, *shipments(20, "dhl"), *there])
    assert set(found) == keys(there)
    assert all(tracking.status is ShipmentStatus.PENDING for tracking in found.values())
    asked = [call["query"]["numbers"].split(",") for call in sandbox.calls("GET", "/trackings/get")]
    assert [len(numbers) for numbers in asked] == [40, 40, 40, 10]
    assert sandbox.ledger()["requests"] == 4


def test_two_carriers_with_the_same_number_are_kept_apart(hook: TrackingMoreHook, sandbox: SandboxProcess) -> None:
    both = [{"carrier_code": code, "tracking_number": "1234567890"} for code in ("usps", "dhl")]
    sandbox.seed(shipments=both)
    asked = [*both, {"carrier_code": "ups", "tracking_number": "1234567890"}]
    assert set(hook.find_trackings(asked)) == keys(both)


@pytest.mark.parametrize("number", ["A1/2", "50%", "a b c", "é-漢-1", "x+y&z=1", "#7?", "a;b", "1%2C2"])
def test_odd_numbers_are_sent_unchanged(hook: TrackingMoreHook, sandbox: SandboxProcess, number: str) -> None:
    sandbox.switch(number_format="any")
    shipment = {"carrier_code": "usps", "tracking_number": number}
    assert hook.create_trackings([shipment]).created == (("usps", number),)
    assert hook.get_tracking("usps", number).tracking_number == number
    assert set(hook.find_trackings([shipment])) == {("usps", number)}
    assert hook.update_tracking("usps", number, title="Odd").title == "Odd"
    assert hook.delete_tracking("usps", number) is True


def test_a_number_with_a_comma_is_found_too(hook: TrackingMoreHook, sandbox: SandboxProcess) -> None:
    sandbox.switch(number_format="any")
    there = [{"carrier_code": "usps", "tracking_number": number} for number in ("1,2", "10001")]
    hook.create_trackings(there)
    missing = {"carrier_code": "usps", "tracking_number": "3,4"}
    assert set(hook.find_trackings([*there, missing])) == keys(there)


async def test_the_client_for_triggers_reads_the_connection_without_blocking(sandbox: SandboxProcess) -> None:
    from airflow_provider_trackingmore.api import endpoints

    with TrackingMoreHook() as hook:
        client = await hook.aget_conn()
        assert (await client.send_async(endpoints.get_account())).email == "account-0@sandbox.example"
        assert hook.get_conn() is client
