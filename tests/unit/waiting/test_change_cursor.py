"""The cursor of the list of changes, which follows the vendor's own times."""

from __future__ import annotations

from airflow_provider_trackingmore.waiting.change_cursor import OVERLAP_SECONDS, ChangeCursor

NOW = 1_780_000_000.0
DAY = 86_400.0


def test_changes_are_requested_from_the_newest_change_in_a_response() -> None:
    cursor = ChangeCursor()
    cursor.note([NOW - 40, NOW - 50, NOW - 900], [], at=10.0, now=NOW)
    cursor.advance(oldest_check=10.0)
    assert cursor.since == NOW - 50 - OVERLAP_SECONDS


def test_a_change_dated_into_the_future_does_not_hide_those_before_it() -> None:
    cursor = ChangeCursor()
    cursor.note([NOW - 40, NOW - 50, NOW + 20 * DAY], [], at=10.0, now=NOW)
    cursor.advance(oldest_check=10.0)
    assert cursor.since == NOW - 50 - OVERLAP_SECONDS


def test_a_list_of_changes_dated_into_the_future_alone_does_not_move_the_cursor_there() -> None:
    cursor = ChangeCursor()
    cursor.note([NOW - 40, NOW - 50], [], at=10.0, now=NOW)
    cursor.note([NOW + 20 * DAY, NOW + 21 * DAY], [], at=20.0, now=NOW + 10)
    cursor.advance(oldest_check=20.0)
    assert cursor.since == NOW - 50 - OVERLAP_SECONDS


def test_every_response_advances_the_cursor_but_only_as_far_as_all_shipments_were_checked() -> None:
    cursor = ChangeCursor()
    cursor.note([NOW - 500, NOW - 600], [], at=10.0, now=NOW)
    cursor.note([NOW - 40, NOW - 50], [], at=20.0, now=NOW + 10)
    cursor.advance(oldest_check=15.0)
    assert cursor.since == NOW - 600 - OVERLAP_SECONDS
    cursor.advance(oldest_check=20.0)
    assert cursor.since == NOW - 50 - OVERLAP_SECONDS
