"""How to look at many shipments with the fewest calls. Pure: numbers in, a plan out; knows no clock and no account.

Three ways lead to news. *By number*: 40 a call, and what it says of a shipment is the whole truth. *By list*: all that
was registered since the oldest open shipment, 2,000 rows a call, as true. *By change*: what the vendor says has changed
since the last look, usually one call for any number of shipments; but it leaves some changes out (``updated_at`` is
null on some delivered shipments), so each shipment must also be looked at by number or list now and then.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from typing import TypeVar

from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS, PAGE_SIZE

K = TypeVar("K", bound=Hashable)

RECONCILE_SECONDS = 1800.0
"""A shipment is looked at by number or list at least so often, whatever the news by change say."""
WORTH_A_PROBE = 3
"""With so many calls by number, one that finds out how long the list is may save some."""
LIGHT_ROWS = 500
"""A list of so few rows is taken rather than a call by change: it costs as much and is the whole truth."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one round looks.

    :param by_change: whether it begins with what has changed; then only stale shipments are looked at besides.
    :param by_list: whether what must be looked at is looked at by list; by number otherwise.
    :param list_calls: the list is worth so many calls: one that turns out longer is given up for numbers.
    """

    by_change: bool
    by_list: bool
    list_calls: int


def pages(rows: int) -> int:
    """How many calls bring so many rows; even none takes one."""
    return max(1, math.ceil(rows / PAGE_SIZE))


def number_calls(shipments: int) -> int:
    """How many calls by number look at so many shipments."""
    return math.ceil(shipments / FILTER_NUMBERS)


def plan(due: int, stale: int, *, rows: int | None, changed: int | None) -> Plan:
    """Choose the way with the fewest calls.

    :param due: shipments whose turn it is.
    :param stale: those of them that must be looked at, because news by change may have left them out for too long.
    :param rows: how many the list has, at most; None: not known. Then one that may save calls is tried.
    :param changed: rows that a call by change is going to bring; None: there is no moment to ask from.
    :return: the plan.
    """

    def full(shipments: int) -> tuple[int, bool]:
        numbers = number_calls(shipments)
        if rows is not None and shipments and pages(rows) < numbers:
            return pages(rows), True
        return numbers, False

    calls, by_list = full(due)
    by_change = False
    if changed is not None:
        stale_calls, stale_by_list = full(stale)
        with_changes = pages(changed) + stale_calls
        heavy = by_list and (rows or 0) > LIGHT_ROWS
        if with_changes < calls or (with_changes == calls and heavy):
            by_change, by_list, calls = True, stale_by_list, stale_calls
    looked_at = number_calls(stale if by_change else due)
    if rows is None and looked_at >= WORTH_A_PROBE:
        by_list = True
    return Plan(by_change, by_list, looked_at)


def spread(calls: int, at: int, *, now: float, reconcile_seconds: float) -> float:
    """When the shipments of one call by number must be looked at again, so that not all are due at once.

    :param calls: how many calls the round makes.
    :param at: which of them it is, from 0.
    :param now: seconds.
    :param reconcile_seconds: longest time between two looks.
    :return: seconds.
    """
    return now + reconcile_seconds * ((at + 1) / calls)


def filled_up(due_at: Mapping[K, float], until: float) -> list[K]:
    """Choose what to look at now, and fill the last call with what comes next: those calls are saved later.

    :param due_at: shipment -> when it must be looked at.
    :param until: what must be looked at before then is chosen.
    :return: the shipments, the most urgent first where not all of them are chosen; none if nothing is due.
    """
    due = sum(1 for at in due_at.values() if at <= until)
    room = number_calls(due) * FILTER_NUMBERS
    return nsmallest(room, due_at, key=due_at.__getitem__) if room < len(due_at) else list(due_at) if due else []
