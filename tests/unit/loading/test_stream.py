"""What people who load with dlt, pandas or their own code get: the same rows, and a state to store beside them."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_trackingmore.exceptions import LoadStateError
from airflow_provider_trackingmore.loading.load import LoadOptions
from airflow_provider_trackingmore.loading.rows import RowOptions
from airflow_provider_trackingmore.loading.source import ShipmentSource
from airflow_provider_trackingmore.loading.stream import ShipmentStream
from tests.unit.loading.random_account import FINAL, RandomAccount

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
OPTIONS = LoadOptions(RowOptions("shop"))


def stream(account: RandomAccount, state: dict[str, Any] | None, options: LoadOptions = OPTIONS) -> ShipmentStream:
    source = ShipmentSource(account.send, lambda: account.calls)
    return ShipmentStream(source, state, options, datetime.fromtimestamp(account.now, UTC))


def calm_account(seed: int) -> RandomAccount:
    """Every change is dated, and every list is complete: nothing may be missed."""
    account = RandomAccount(random.Random(seed), START)
    account.keeps_updated_at, account.skew = 1.0, 0
    account._hide = account._poison = account._delete = lambda parcel: None  # type: ignore[method-assign]
    return account


@pytest.mark.parametrize("seed", range(5))
def test_merging_the_rows_of_each_night_gives_what_the_vendor_has(seed: int) -> None:
    account = calm_account(seed)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    events: dict[tuple[str, str], set[str]] = {}
    statuses: dict[tuple[str, str], list[str]] = {}
    state = None
    for _ in range(30):
        account.live(1)
        night = stream(account, state)
        for batch in night:
            for row in batch.trackings:
                rows[row["carrier_code"], row["tracking_number"]] = row
                events[row["carrier_code"], row["tracking_number"]] = set()
            for event in batch.events:
                events[event["carrier_code"], event["tracking_number"]].add(event["description"])
            for change in batch.status_changes:
                seen = statuses.setdefault((change["carrier_code"], change["tracking_number"]), [])
                is_reopened = bool(seen) and seen[-1] in FINAL  # the state forgets what is settled
                assert change["previous_status"] == (seen[-1] if seen else None) or is_reopened
                seen.append(change["status"])
        state = json.loads(json.dumps(night.state))

    assert {key: (row["status"], row["order_id"]) for key, row in rows.items()} == {
        key: (parcel.status, parcel.order_id) for key, parcel in account.parcels.items()
    }
    assert events == {
        key: {event["StatusDescription"] for event in parcel.events} for key, parcel in account.parcels.items()
    }
    assert {key: seen[-1] for key, seen in statuses.items()} == {
        key: parcel.status for key, parcel in account.parcels.items()
    }


def test_a_night_without_changes_yields_no_row() -> None:
    account = calm_account(1)
    account.live(20)
    first = stream(account, None)
    assert sum(len(batch.trackings) for batch in first) == len(account.parcels) > 10

    second = stream(account, first.state)

    assert [row for batch in second for row in (*batch.trackings, *batch.events, *batch.status_changes)] == []


def test_times_are_datetimes_and_local_ones_have_no_zone() -> None:
    account = calm_account(2)
    account.live(10)
    batch = next(iter(stream(account, None)))

    assert all(row["created_at"].tzinfo is UTC for row in batch.trackings)
    assert {event["event_time_local"].tzinfo for event in batch.events} == {None}


def test_a_shipment_that_was_deleted_is_reported_once() -> None:
    account = calm_account(3)
    account.live(5)
    first = stream(account, None)
    list(first)
    carrier, number = next(key for key, parcel in account.parcels.items() if parcel.status != "delivered")
    del account.parcels[carrier, number]

    second = stream(account, first.state)
    missing = [row for batch in second for row in batch.missing]
    third = stream(account, second.state)

    assert [(row["carrier_code"], row["tracking_number"]) for row in missing] == [(carrier, number)]
    assert [row for batch in third for row in batch.missing] == []


def test_the_state_is_known_only_at_the_end() -> None:
    account = calm_account(4)
    account.live(5)
    unread = stream(account, None)
    with pytest.raises(RuntimeError, match="all batches"):
        _ = unread.state


@pytest.mark.parametrize("damage", [{"shipments": "x"}, {"load": {}}, {"load": {"version": 99}}])
def test_a_state_that_cannot_be_used_is_refused_before_any_request(damage: dict[str, Any]) -> None:
    account = calm_account(5)
    account.live(5)
    first = stream(account, None)
    list(first)
    calls = account.calls

    with pytest.raises(LoadStateError):
        stream(account, {**first.state, **damage})
    assert account.calls == calls


@pytest.mark.parametrize("damage", [{"load": None}, {"load": "x"}, {"shipments": None}])
def test_a_state_that_lacks_a_part_is_damaged(damage: dict[str, Any]) -> None:
    account = calm_account(5)
    first = stream(account, None)
    list(first)
    state = {name: value for name, value in {**first.state, **damage}.items() if value is not None}

    with pytest.raises(LoadStateError, match="The state of this stream is damaged"):
        stream(account, state)


def test_what_was_loaded_with_other_options_is_loaded_again() -> None:
    account = calm_account(6)
    account.live(10)
    first = stream(account, None)
    list(first)

    second = stream(account, first.state, LoadOptions(RowOptions("shop", event_texts=False), settle=timedelta(days=3)))
    events = [event for batch in second for event in batch.events]

    assert events
    assert {event["description"] for event in events} == {None}
