"""Plan how to check many shipments with the fewest calls.

There are three ways. *By number*: 40 shipments a call, and what it says of a shipment is complete. *By list*:
everything registered since the oldest open shipment, 2,000 rows a call, as complete. *By change*: what the vendor says
has changed since the last check, usually one call for any number of shipments; but it leaves some changes out
(``updated_at`` is null on some delivered shipments), so each shipment also needs a check by number or list at times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS, PAGE_SIZE

MIN_CALLS_TO_PROBE = 3
"""From this many calls by number on, a call that finds out the length of the list may save some."""
LIGHT_ROWS = 500
"""A list of at most this many rows is preferred to a call by change: it costs as much and is complete."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to check what is due.

    :param by_change: begin with the list of changes; then only stale shipments need a full check.
    :param by_list: check the others by list; by number otherwise.
    :param max_list_calls: how many calls the list may take before it is abandoned.
    """

    by_change: bool
    by_list: bool
    max_list_calls: int


def pages(rows: int) -> int:
    """Return how many calls it takes to read a list with this many rows; even an empty one takes a call."""
    return max(1, math.ceil(rows / PAGE_SIZE))


def number_calls(shipments: int) -> int:
    """Return how many calls by number it takes to check this many shipments."""
    return math.ceil(shipments / FILTER_NUMBERS)


def plan(
    due: int,
    stale: int,
    *,
    rows: int | None,
    changed: int | None,
    left_out: int = 0,
    stale_left_out: int = 0,
    number_calls_a_round: float = 0.0,
) -> Plan:
    """Choose the way with the fewest calls.

    :param due: how many shipments are due.
    :param stale: how many of them need a full check.
    :param rows: how many rows the list has, at most; None if unknown: a list that may save calls is then tried.
    :param left_out: how many of those that are due the list leaves out: it does not check them.
    :param stale_left_out: how many of the stale ones it leaves out.
    :param changed: how many rows the list of changes is expected to have; None if there is no cursor to begin it from.
    :param number_calls_a_round: how many calls by number it takes to check all shipments of the account once per
        shortest interval. If that is more than one, a full check wins ties: it saves calls for those due soon.
    :return: the plan.
    """
    prefer_all = number_calls_a_round > 1
    prefer_long_list = number_calls_a_round >= MIN_CALLS_TO_PROBE

    def full(shipments: int, left_out: int) -> tuple[int, bool]:
        numbers = number_calls(shipments)
        if rows is not None and shipments:
            calls = pages(rows) + number_calls(left_out)
            saves = calls < numbers or (calls == numbers and prefer_all and (prefer_long_list or rows <= LIGHT_ROWS))
            if saves:
                return calls, True
        return numbers, False

    calls, by_list = full(due, left_out)
    by_change = False
    if changed is not None:
        stale_calls, stale_by_list = full(stale, stale_left_out)
        calls_by_change = pages(changed) + stale_calls
        is_heavy = by_list and (rows or 0) > LIGHT_ROWS
        if calls_by_change < calls or (calls_by_change == calls and (is_heavy or (prefer_all and not by_list))):
            by_change, by_list, calls = True, stale_by_list, stale_calls
    checked_in_full = number_calls(stale - stale_left_out if by_change else due - left_out)
    if rows is None and (checked_in_full >= MIN_CALLS_TO_PROBE or (checked_in_full and prefer_long_list)):
        by_list = True
    return Plan(by_change, by_list, checked_in_full)
