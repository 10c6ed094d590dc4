"""What the next load requests: nothing that is not settled is ever out of sight."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.loading.rows import RowOptions, ShipmentRecord, build_record
from airflow_provider_trackingmore.loading.state import LoadState, LoadStateError, default_stream
from airflow_provider_trackingmore.loading.window import (
    OVERLAP_SECONDS,
    LoadWindow,
    WindowTracker,
    change_filters,
    is_settled,
    plan_window,
    window_filters,
)

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TEMPLATE = build_record(Tracking("usps", "A", created_at=NOW), RowOptions("acc"))


def shipment(
    number: str, age_days: float | None, *, is_final: bool = False, updated: float | None = None
) -> ShipmentRecord:
    created_at = NOW - age_days * DAY if age_days is not None else None
    updated_at = NOW - updated * DAY if updated is not None else None
    return replace(
        TEMPLATE,
        key=ShipmentKey("usps", number),
        created_at=created_at,
        updated_at=updated_at,
        active_at=max(filter(None, (created_at, updated_at)), default=None),
        is_final=is_final,
    )


def seconds(age_days: float) -> int:
    return int((NOW - age_days * DAY).timestamp())


def test_the_first_load_and_a_full_refresh_list_everything() -> None:
    everything = LoadWindow(None, None)
    later = LoadState(3, seconds(5), seconds(1), {})
    assert plan_window(LoadState(), full_refresh=False) == everything
    assert plan_window(later, full_refresh=True) == everything


def test_what_is_open_for_too_long_does_not_hold_the_window() -> None:
    before = LoadState(3, seconds(100), seconds(1), {})
    tracker = WindowTracker(before, plan_window(before, full_refresh=False), NOW, 90 * DAY)
    for age in (91, 89, 0):
        tracker.add(shipment(str(age), age), settled=False)
    after = tracker.next_state()
    assert plan_window(after, full_refresh=False) == LoadWindow(seconds(89), seconds(1))
    assert len(after.open) == 3


def test_no_shipment_is_between_the_two_lists() -> None:
    window = LoadWindow(seconds(5), seconds(1))
    changes = change_filters(window, {})
    assert changes is not None
    assert window_filters(window, {})["created_at_min"] < changes["created_at_max"] == window.created_from


def test_loads_continue_where_the_last_one_ended_however_long_ago_that_was() -> None:
    state = LoadState(3, seconds(100), seconds(99), {})
    assert plan_window(state, full_refresh=False) == LoadWindow(seconds(100), seconds(99))


def test_a_shipment_that_is_dated_in_the_future_does_not_move_the_window_there() -> None:
    before = LoadState(3, seconds(5), seconds(1), {})
    tracker = WindowTracker(before, plan_window(before, full_refresh=False), NOW, 90 * DAY)
    tracker.add(shipment("A", -30), settled=True)
    assert tracker.next_state().mark == seconds(0) - OVERLAP_SECONDS


@pytest.mark.parametrize(
    ("record", "changed_days_ago", "expected"),
    [
        (shipment("A", 30), None, False),
        (shipment("A", 30, is_final=True), None, True),
        (shipment("A", 30, is_final=True, updated=2), None, False),
        (shipment("A", 30, is_final=True, updated=3), None, True),
        (shipment("A", 30, is_final=True), 1, False),
        (shipment("A", None, is_final=True), None, False),
    ],
)
def test_settled_is_what_is_final_and_unchanged_for_three_days(
    record: ShipmentRecord, changed_days_ago: float | None, expected: bool
) -> None:
    changed_at = NOW - changed_days_ago * DAY if changed_days_ago is not None else None
    assert is_settled(record, changed_at, NOW, 3 * DAY) is expected


ages = st.floats(0, 200)


@given(st.dictionaries(st.text("abc", min_size=1), st.tuples(ages, st.booleans()), max_size=8), ages)
def test_the_next_load_sees_every_open_shipment(shipments: dict[str, tuple[float, bool]], mark_days: float) -> None:
    before = LoadState(1, seconds(mark_days), seconds(1), {})
    window = plan_window(before, full_refresh=False)
    tracker = WindowTracker(before, window, NOW, 90 * DAY)
    for number, (age, settled) in shipments.items():
        tracker.add(shipment(number, age), settled=settled)
    after = tracker.next_state()
    following = plan_window(LoadState.from_dict(after.to_dict()), full_refresh=False)
    assert following.created_from is not None
    unsettled = {
        ShipmentKey("usps", number): seconds(age) for number, (age, settled) in shipments.items() if not settled
    }
    assert after.open == unsettled, "those that the list leaves out are read by number"
    in_window = [created for created in unsettled.values() if window.created_from and created >= window.created_from]
    assert all(created >= following.created_from for created in in_window if created >= seconds(89))
    assert after.mark is not None
    assert after.mark <= NOW.timestamp() - OVERLAP_SECONDS or after.mark == window.created_from
    newest = max((seconds(age) for age, _ in shipments.values()), default=before.mark)
    assert after.mark == before.mark or after.mark >= min(seconds(90), newest - OVERLAP_SECONDS)


def test_the_cursor_follows_the_window_and_not_older_changes() -> None:
    before = LoadState(1, seconds(10), seconds(5), {})
    tracker = WindowTracker(before, plan_window(before, full_refresh=False), NOW, 90 * DAY)
    tracker.add(shipment("A", 3, updated=2), settled=False)
    tracker.finish_window()
    tracker.add(shipment("B", 30, updated=1, is_final=True), settled=True)
    assert tracker.next_state().cursor == seconds(2) - OVERLAP_SECONDS


def test_the_cursor_never_goes_back_nor_into_the_future() -> None:
    before = LoadState(1, seconds(10), seconds(5), {})
    window = plan_window(before, full_refresh=False)
    back, future = WindowTracker(before, window, NOW, 90 * DAY), WindowTracker(before, window, NOW, 90 * DAY)
    back.add(shipment("A", 9, updated=8), settled=False)
    future.add(shipment("A", 9, updated=-30), settled=False)
    assert back.next_state().cursor == seconds(5)
    assert future.next_state().cursor == seconds(0) - OVERLAP_SECONDS


@given(
    st.dictionaries(
        st.tuples(st.text(), st.text()).map(lambda pair: ShipmentKey(*pair)),
        st.none() | st.integers(0, 2**40),
        max_size=80,
    )
)
def test_a_state_survives_being_stored(shipments: dict[ShipmentKey, int | None]) -> None:
    state = LoadState(3, 5, None, shipments)
    assert LoadState.from_dict(json.loads(json.dumps(state.to_dict()))) == state


def test_many_open_shipments_are_stored_compressed() -> None:
    state = LoadState(1, 0, 0, {ShipmentKey("usps", f"SB{number:010}"): 1_700_000_000 for number in range(1000)})
    stored = state.to_dict()
    assert "open" not in stored
    assert len(stored["open_zlib"]) < 10_000
    assert LoadState.from_dict(stored) == state
    with pytest.raises(LoadStateError, match="damaged"):
        LoadState.from_dict(stored | {"open_zlib": stored["open_zlib"][:-8]})


def test_the_name_of_a_stream_tells_accounts_and_filters_apart() -> None:
    assert default_stream("acc", {}) == default_stream("acc", {"status": None}) == "acc"
    names = {default_stream(account, {"status": status}) for account in ("a", "b") for status in ("transit", "expired")}
    assert len(names) == 4
