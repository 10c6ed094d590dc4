"""The changes that a round reports, and the state after it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.events.rounds import Reporting, Round, change_id, compare
from airflow_provider_trackingmore.events.watch_state import WatchState
from airflow_provider_trackingmore.loading.window import LoadWindow
from airflow_provider_trackingmore.waiting.list_subscriptions import ListUpdate
from airflow_provider_trackingmore.waiting.observation import NOT_REGISTERED, Observation
from airflow_provider_trackingmore.waiting.responses import ObservedRow

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SHOP = Reporting("shop")


def row(
    number: str, status: str, *, age: timedelta = DAY, updated: timedelta | None = None, last: timedelta = DAY
) -> ObservedRow:
    """A row of a list; times are ages."""
    key = ShipmentKey("USPS", number)
    last_update = (NOW - last).strftime("%Y-%m-%dT%H:%M:%S")
    observed = Observation(status, f"{status}001", None, last_update, "A-1")
    seconds = None if updated is None else (NOW - updated).timestamp()
    return ObservedRow(key.normalized, observed, (NOW - age).timestamp(), seconds, key)


def full(*rows: ObservedRow, changed: Iterable[ObservedRow] = ()) -> ListUpdate:
    return ListUpdate(rows, list(changed), is_full=True)


def changes(*rows: ObservedRow) -> ListUpdate:
    return ListUpdate((), rows, is_full=False)


def run(
    state: WatchState | None, update: ListUpdate, reporting: Reporting = SHOP, now: datetime = NOW, **by_number: Any
) -> Round:
    window = LoadWindow(None if state is None else state.mark, None if state is None else state.cursor)
    found = {ShipmentKey("usps", number): observed for number, observed in by_number.items()}
    return compare(state, update, found, window, reporting, now)


def statuses(result: Round) -> list[tuple[str, str | None, str]]:
    return [(change["tracking_number"], change["previous_status"], change["status"]) for change in result.changes]


def test_the_first_round_reports_nothing() -> None:
    result = run(None, full(row("A", "transit"), row("B", "delivered")))
    assert result.changes == []
    assert {key.tracking_number for key in result.state.shipments} == {"a", "b"}


def test_the_first_round_reports_everything_with_include_existing() -> None:
    old = row("B", "delivered", age=9 * DAY, last=9 * DAY)
    result = run(None, full(row("A", "transit"), old), Reporting("shop", include_existing=True))
    assert statuses(result) == [("A", None, "transit"), ("B", None, "delivered")]
    assert {key.tracking_number for key in result.state.shipments} == {"a"}


def test_a_change_is_reported_with_its_details() -> None:
    state = run(None, full(row("A", "transit"))).state
    (change,) = run(state, changes(row("A", "delivered", last=timedelta()))).changes
    assert change == {
        "id": change_id("shop", ShipmentKey("usps", "a"), "transit", "delivered", "1"),
        "carrier_code": "USPS",
        "tracking_number": "A",
        "order_id": "A-1",
        "status": "delivered",
        "previous_status": "transit",
        "substatus": "delivered001",
        "delivered_at": None,
        "last_update": "2026-03-02T08:00:00",
        "observed_at": "2026-03-02T08:00:00+00:00",
        "sequence": int(NOW.timestamp() * 1000),
    }


def test_the_same_change_has_the_same_id_at_any_time() -> None:
    state = run(None, full(row("A", "transit"), row("B", "transit"))).state
    first = run(state, changes(row("A", "pickup")))
    again = run(state, full(row("B", "pickup"), row("A", "pickup")), now=NOW + DAY)
    assert first.changes[0]["id"] in {change["id"] for change in again.changes}
    later = run(first.state, changes(row("A", "transit")))
    back = run(later.state, changes(row("A", "pickup")))
    assert back.changes[0]["id"] != first.changes[0]["id"], "the same change at another time"


def test_sequences_increase_whatever_the_clock_does() -> None:
    state = run(None, full(row("A", "transit"), row("B", "transit"))).state
    first = run(state, changes(row("A", "pickup"), row("B", "pickup")))
    second = run(first.state, changes(row("A", "transit")), now=NOW - DAY)
    found = [change["sequence"] for change in (*first.changes, *second.changes)]
    assert found == sorted(set(found))


def test_only_the_wanted_statuses_are_reported() -> None:
    wanted = Reporting("shop", statuses=frozenset({"delivered"}))
    state = run(None, full(row("A", "pending")), wanted).state
    result = run(state, changes(row("A", "transit")), wanted)
    assert result.changes == []
    result = run(result.state, changes(row("A", "delivered")), wanted)
    assert statuses(result) == [("A", "transit", "delivered")]


def test_a_late_transit_after_delivery_is_no_change_and_a_reopened_parcel_is() -> None:
    state = run(None, full(row("A", "delivered", last=DAY))).state
    late = run(state, full(row("A", "transit", last=2 * DAY)))
    assert late.changes == []
    assert late.state.shipments[ShipmentKey("usps", "a")].status == "delivered"
    reopened = run(late.state, full(row("A", "transit", last=timedelta())))
    assert statuses(reopened) == [("A", "delivered", "transit")]


def test_a_new_shipment_is_a_change_from_nothing() -> None:
    state = run(None, full(row("A", "transit"))).state
    result = run(state, full(row("A", "transit"), row("B", "pending", age=timedelta())))
    assert statuses(result) == [("B", None, "pending")]


def test_a_number_that_was_delivered_long_before_it_was_registered_is_new() -> None:
    state = run(None, full(row("A", "transit"), row("Z", "delivered", age=30 * DAY, last=30 * DAY))).state
    result = run(state, full(row("A", "transit"), row("B", "delivered", age=timedelta(hours=1), last=30 * DAY)))
    assert statuses(result) == [("B", None, "delivered")]


@pytest.mark.parametrize("days", [2.9, 3.1])
def test_settled_shipments_leave_the_state_after_three_days(days: float) -> None:
    first = run(None, full(row("A", "transit", age=9 * DAY)))
    arrived = run(first.state, full(row("A", "delivered", age=9 * DAY, last=4 * DAY)))
    assert statuses(arrived) == [("A", "transit", "delivered")]
    later = run(arrived.state, full(row("A", "delivered", age=9 * DAY, last=4 * DAY)), now=NOW + timedelta(days=days))
    assert len(later.state.shipments) == (days < 3)
    assert later.changes == []


def test_a_dropped_shipment_is_not_new_unless_the_list_of_changes_contains_it() -> None:
    settled = row("A", "delivered", age=9 * DAY, updated=5 * DAY, last=5 * DAY)
    state = run(None, full(settled, row("B", "transit", age=20 * DAY))).state
    assert {key.tracking_number for key in state.shipments} == {"b"}
    again = run(state, full(settled, row("B", "transit", age=20 * DAY), changed=[settled]))
    assert again.changes == []
    edited = row("A", "delivered", age=9 * DAY, updated=timedelta(hours=1), last=5 * DAY)
    assert statuses(run(again.state, changes(edited))) == [("A", None, "delivered")]


def test_a_dropped_shipment_that_is_in_transit_again_is_a_change() -> None:
    settled = row("A", "delivered", age=9 * DAY, updated=5 * DAY, last=5 * DAY)
    state = run(None, full(settled)).state
    assert statuses(run(state, full(row("A", "transit", age=9 * DAY, last=timedelta())))) == [("A", None, "transit")]


def test_the_full_list_begins_at_the_oldest_open_shipment() -> None:
    oldest = row("A", "transit", age=40 * DAY)
    state = run(None, full(oldest, row("B", "delivered", age=60 * DAY, last=50 * DAY), row("C", "pending"))).state
    assert state.mark == int((NOW - 40 * DAY).timestamp())


def test_a_hint_about_a_delivered_shipment_does_not_make_it_new_in_the_next_list() -> None:
    delivered = row("A", "delivered", age=9 * DAY, updated=DAY, last=5 * DAY)
    state = run(None, full(delivered)).state
    assert delivered.observed is not None
    hinted = {delivered.key: delivered.observed}
    result = run(state, ListUpdate((), (), is_full=False, by_number=hinted), a=delivered.observed)
    assert result.changes == []
    assert run(result.state, full(delivered)).changes == []


def test_shipments_that_the_full_list_leaves_out_are_checked_by_number() -> None:
    state = run(None, full(row("A", "transit"), row("B", "transit"), row("C", "transit"))).state
    result = run(state, full(row("A", "transit")))
    assert [key.tracking_number for key in result.unlisted or ()] == ["B", "C"]
    assert run(state, changes(row("A", "transit"))).unlisted is None
    later = run(result.state, full(row("A", "transit")), b=Observation("delivered"), c=NOT_REGISTERED)
    assert statuses(later) == [("B", "transit", "delivered")]
    assert {key.tracking_number for key in later.state.shipments} == {"a", "b"}


def test_the_list_of_changes_is_newer_than_the_full_list() -> None:
    state = run(None, full(row("A", "transit"))).state
    result = run(state, full(row("A", "transit"), changed=[row("A", "pickup")]))
    assert statuses(result) == [("A", "transit", "pickup")]
    assert result.state.shipments[ShipmentKey("usps", "a")].status == "pickup"
