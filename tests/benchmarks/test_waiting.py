"""The arithmetic of ``benchmarks.waiting``."""

from __future__ import annotations

import math

import pytest

from benchmarks.waiting_plan import Timeline, fewest_calls, orders, percentile, sum_slot_seconds


@pytest.mark.parametrize(
    ("still_open", "listed", "changed", "period", "calls"),
    [
        ([1, 1, 1], [1, 1, 1], [1, 0, 0], 30, 3),
        ([2000, 2000], [2000, 2000], [2000, 0], 30, 2),
        ([10_000], [10_000], [10_000], 30, 5),
        ([10_000] * 30, [10_000] * 30, [10_000] + [50] * 29, 30, 5 + 29),
        ([10_000] * 31, [10_000] * 31, [10_000] + [50] * 30, 30, 5 + 29 + 5),
        ([10_000] * 2, [10_000] * 2, [10_000, 2001], 30, 5 + 2),
        ([10_000] * 3, [10_000] * 3, [10_000, 0, 0], 1, 15),
        ([10_000, 200], [10_000, 10_000], [10_000, 0], 1, 5 + 5),
        ([10_000, 80], [10_000, 10_000], [10_000, 0], 1, 5 + 2),
        ([2001, 0, 0], [2001, 0, 0], [2001, 0, 0], 30, 2),
        ([], [], [], 30, 0),
    ],
)
def test_the_fewest_calls_check_everything_once_a_period_and_changes_in_between(
    still_open: list[int], listed: list[int], changed: list[int], period: int, calls: int
) -> None:
    assert fewest_calls(still_open, listed, changed, period) == calls


def test_the_fewest_calls_of_a_run_end_with_its_last_parcel() -> None:
    parcels = {("ups", f"{at}"): 1000.0 + at for at in range(4001)}
    changes = sorted((at, parcel) for parcel, at in parcels.items())
    timeline = Timeline(0.0, parcels, changes, dict.fromkeys(parcels, 0.0))
    # Nothing has changed at 0 and 900 s, some has at 1,000 s, the last one at 5,000 s.
    assert timeline.fewest(0.0, 60.0) == (3 + 1, 2)
    calls, ticks = timeline.fewest(0.0, 10_000.0)
    assert ticks == 1 + math.ceil(5000 / 60)
    assert calls == 3 + (ticks - 1) + 2 + 2  # after half an hour and after an hour the list still has three pages


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.5, 3), (0.6, 3), (0.61, 4), (0.95, math.inf), (1.0, math.inf)]
)
def test_a_percentile_is_one_of_the_values_and_one_that_never_ended_counts(share: float, value: float) -> None:
    assert percentile([3, 1, math.inf, 2, 4], share) == value


def test_orders_are_the_same_each_time_and_no_parcel_is_in_two() -> None:
    made = orders(100)
    parcels = [parcel for order in made for parcel in order]
    assert made == orders(100)
    assert sorted({len(order) for order in made}) == [1, 2, 3]
    assert len(set(parcels)) == len(parcels) == 120


def test_a_slot_is_occupied_while_a_task_is_queued_or_runs_and_not_while_it_is_deferred() -> None:
    changes = [
        ("one", "queued", 0.0),
        ("one", "running", 1.0),
        ("two", "running", 2.0),
        ("one", "deferred", 3.0),
        ("two", "success", 10.0),
        ("one", "running", 60.0),
        ("one", "success", 61.5),
    ]
    assert sum_slot_seconds(changes) == pytest.approx(3.0 + 8.0 + 1.5)
