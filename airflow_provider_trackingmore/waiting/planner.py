"""How to check many shipments with the fewest calls. Pure: numbers in, a plan out.

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
"""With so many calls by number, one that finds out how long the list is may save some."""
LIGHT_ROWS = 500
"""A list of so few rows is preferred to a call by change: it costs as much and is complete."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to check what is due.

    :param by_change: begin with what has changed; then only stale shipments need a check of their own.
    :param by_list: check the others by list; by number otherwise.
    :param max_list_calls: the list is worth so many calls: a longer one is given up.
    """

    by_change: bool
    by_list: bool
    max_list_calls: int


def pages(rows: int) -> int:
    """Return how many calls bring so many rows; even an empty list takes one."""
    return max(1, math.ceil(rows / PAGE_SIZE))


def number_calls(shipments: int) -> int:
    """Return how many calls by number check so many shipments."""
    return math.ceil(shipments / FILTER_NUMBERS)


def plan(due: int, stale: int, *, rows: int | None, changed: int | None, prefer_all: bool = False) -> Plan:
    """Choose the way with the fewest calls.

    :param due: how many shipments are due.
    :param stale: how many of them need a full check.
    :param rows: how many rows the list has, at most; None: not known. Then one that may save calls is tried.
    :param changed: rows that a call by change is going to bring; None: there is no moment to ask from.
    :param prefer_all: of two ways with as many calls, take the one that checks every shipment of the account: it saves
        calls for those that are due soon.
    :return: the plan.
    """

    def full(shipments: int) -> tuple[int, bool]:
        numbers = number_calls(shipments)
        if rows is not None and shipments:
            saves = pages(rows) < numbers or (pages(rows) == numbers and prefer_all and rows <= LIGHT_ROWS)
            if saves:
                return pages(rows), True
        return numbers, False

    calls, by_list = full(due)
    by_change = False
    if changed is not None:
        stale_calls, stale_by_list = full(stale)
        with_changes = pages(changed) + stale_calls
        heavy = by_list and (rows or 0) > LIGHT_ROWS
        if with_changes < calls or (with_changes == calls and (heavy or (prefer_all and not by_list))):
            by_change, by_list, calls = True, stale_by_list, stale_calls
    checked_in_full = number_calls(stale if by_change else due)
    if rows is None and checked_in_full >= MIN_CALLS_TO_PROBE:
        by_list = True
    return Plan(by_change, by_list, checked_in_full)
