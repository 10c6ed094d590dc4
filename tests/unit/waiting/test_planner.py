"""The planner: which way to check shipments takes the fewest calls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.waiting.planner import number_calls, pages, plan


@pytest.mark.parametrize(
    ("due", "stale", "rows", "changed", "way"),
    [
        (1, 0, None, 0, "number"),  # one call either way: the one that is a full check
        (40, 0, None, 0, "number"),
        (41, 0, 50_000, 0, "change"),
        (100, 0, 100, 0, "list"),  # one light call, and a full check
        (1_000, 0, 2_000, 0, "change"),  # one call either way, but a list of 2,000 rows is heavy
        (1_000, 40, 2_000, 0, "list"),  # two calls by change and number, one by list
        (10_000, 0, 10_000, 0, "change"),
        (10_000, 333, 10_000, 0, "list"),
        (10_000, 40, 10_000, 0, "change, number"),
        (10_000, 400, 100_000, 0, "change, number"),
        (10_000, 10_000, 10_000, 0, "list"),
        (10_000, 10_000, 10_000, None, "list"),
        (10_000, 10_000, 600_000, None, "number"),
        (120, 0, 50_000, 9_000, "number"),  # five calls by change, three by number
        (200, 200, None, None, "list"),  # tried, since its length is unknown
        (40, 40, 10, None, "number"),
    ],
)
def test_the_way(due: int, stale: int, rows: int | None, changed: int | None, way: str) -> None:
    planned = plan(due, stale, rows=rows, changed=changed)
    ways = ["change"] * planned.by_change
    if stale or not planned.by_change:
        ways.append("list" if planned.by_list else "number")
    assert ", ".join(ways) == way


def test_a_list_of_unknown_length_is_tried_when_it_may_save_calls() -> None:
    assert not plan(80, 80, rows=None, changed=None).by_list
    probe = plan(81, 81, rows=None, changed=None)
    assert probe.by_list
    assert probe.max_list_calls == 3, "longer than that, numbers are cheaper"
    assert not plan(10_000, 40, rows=None, changed=0).by_list


numbers = st.integers(0, 60_000)


@given(st.integers(1, 60_000), numbers, st.none() | numbers, st.none() | numbers)
def test_no_other_way_would_have_cost_fewer_calls(due: int, stale: int, rows: int | None, changed: int | None) -> None:
    stale = min(stale, due)
    planned = plan(due, stale, rows=rows, changed=changed)

    def full(count: int) -> list[int]:
        return [number_calls(count), *([pages(rows)] if rows is not None and count else [])]

    ways = full(due)
    if changed is not None:
        ways += [pages(changed) + calls for calls in full(stale)]
    checked = stale if planned.by_change else due
    cost = pages(rows) if planned.by_list and rows is not None else number_calls(checked)  # a list may prove cheaper
    cost += pages(changed) if planned.by_change and changed is not None else 0
    assert cost == min(ways)


def test_a_list_is_tried_where_calls_by_number_come_one_after_the_other() -> None:
    """Few shipments are due at any time, but all of them together take a call each second."""
    assert not plan(20, 20, rows=None, changed=None, number_calls_a_round=1.5).by_list
    assert plan(20, 20, rows=None, changed=None, number_calls_a_round=10.0).by_list
    assert plan(20, 20, rows=1500, changed=None, number_calls_a_round=10.0).by_list, "it checks the others, too"
    assert not plan(20, 20, rows=2500, changed=None, number_calls_a_round=10.0).by_list
