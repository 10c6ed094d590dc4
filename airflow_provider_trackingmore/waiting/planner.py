"""Plan how to check many shipments with the fewest calls.

There are three ways. *By number*: 40 shipments per call; a full check of each. *By list*: everything registered since
the oldest open shipment, 2,000 rows per call; a full check as well. *By change*: what has changed since the last check
according to the vendor, usually one call for any number of shipments. The vendor leaves out some changes
(``updated_at`` is null for some delivered shipments), so each shipment also needs a full check from time to time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS, PAGE_SIZE

MIN_CALLS_TO_PROBE = 3
"""If checks by number take this many calls, a call that finds out the length of the list may save some."""
LIGHT_ROWS = 500
"""A list of at most this many rows is preferred to a list of changes: it costs no more and is a full check."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to check what is due.

    :param by_change: whether to begin with the list of changes, after which only stale shipments need a full check.
    :param by_list: whether to make full checks by list; by number otherwise.
    :param max_list_calls: a list that takes more calls is abandoned.
    """

    by_change: bool
    by_list: bool
    max_list_calls: int


def pages(rows: int) -> int:
    """Return how many calls it takes to read a list with this many rows. An empty list takes one."""
    return max(1, math.ceil(rows / PAGE_SIZE))


def number_calls(shipments: int) -> int:
    """Return how many calls by number it takes to check this many shipments."""
    return math.ceil(shipments / FILTER_NUMBERS)


def is_long(changed: int, due: int) -> bool:
    """Tell whether a list of changes with several pages takes as many calls as checks by number.

    :param changed: the number of its rows.
    :param due: how many shipments are due.
    """
    return 1 < pages(changed) >= number_calls(due)


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
    :param rows: the maximum number of rows in the list; None if unknown: a list that may save calls is then tried.
    :param changed: the expected number of rows in the list of changes; None if there is no cursor to begin it from.
    :param left_out: how many of the due shipments the list leaves out, so that it does not check them.
    :param stale_left_out: how many of the stale shipments the list leaves out.
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
    if changed is not None and not is_long(changed, due):
        stale_calls, stale_by_list = full(stale, stale_left_out)
        calls_by_change = pages(changed) + stale_calls
        is_heavy = by_list and (rows or 0) > LIGHT_ROWS
        if calls_by_change < calls or (calls_by_change == calls and (is_heavy or (prefer_all and not by_list))):
            by_change, by_list, calls = True, stale_by_list, stale_calls
    checked_in_full = number_calls(stale - stale_left_out if by_change else due - left_out)
    if rows is None and (checked_in_full >= MIN_CALLS_TO_PROBE or (checked_in_full and prefer_long_list)):
        by_list = True
    return Plan(by_change, by_list, checked_in_full)
