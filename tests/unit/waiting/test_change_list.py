"""A list of changes that is longer than a page is read completely, although its rows move while it is read."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.change_list import ChangeList
from airflow_provider_trackingmore.waiting.responses import ObservedPage, ObservedRow

SINCE = 1_000_000
Order = Callable[[ShipmentKey, float], object]
ORDERS: dict[str, Order] = {
    "by registration": lambda key, updated: key.tracking_number,
    "newest change first": lambda key, updated: -updated,
    "oldest change first": lambda key, updated: updated,
}


def key(number: int) -> ShipmentKey:
    return ShipmentKey("usps", f"n{number:06}")


@dataclass
class Vendor:
    """The list of changes of an account at one time.

    :param order: how the list is sorted.
    :param inclusive: whether the bounds of the filters are inclusive.
    :param says_total: whether a response has the total.
    """

    order: Order
    inclusive: bool = True
    says_total: bool = True
    updated: dict[ShipmentKey, float] = field(default_factory=dict)
    now: float = SINCE + 1_800
    calls: int = 0
    before_last_span: dict[ShipmentKey, float] = field(default_factory=dict)

    def change(self, numbers: Iterable[int], at: float) -> None:
        self.updated |= dict.fromkeys(map(key, numbers), at)

    def page(self, low: int, high: float, number: int) -> ObservedPage:
        self.calls += 1
        matching = [
            (key, updated)
            for key, updated in self.updated.items()
            if low < updated < high or (self.inclusive and updated in (low, high))
        ]
        matching.sort(key=lambda row: self.order(*row))
        rows = [ObservedRow(key, None, 0.0, updated) for key, updated in matching]
        shown = rows[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
        return ObservedPage(shown, len(rows) if self.says_total else None)


def read(vendor: Vendor, changes: ChangeList, between: Callable[[], None] = lambda: None) -> dict[ShipmentKey, float]:
    """Read the list to its end. Something happens between two calls."""
    seen: dict[ShipmentKey, float] = {}
    while (request := changes.next_request()) is not None:
        if vendor.calls:
            between()
        if changes.is_at_last_span:
            vendor.before_last_span = dict(vendor.updated)
        filters, number = request
        low, high = int(filters["update_time_min"]), filters.get("update_time_max")  # type: ignore[arg-type]
        page = vendor.page(low, float("inf") if high is None else float(high), number)  # type: ignore[arg-type]
        seen |= {row.key: row.updated or 0.0 for row in page.rows}
        assert changes.add(page, vendor.now), "the list was abandoned"
    return seen


def missed(vendor: Vendor, seen: dict[ShipmentKey, float]) -> set[ShipmentKey]:
    """The shipments whose last change before the response for the last span is not in any response."""
    return {key for key, updated in vendor.before_last_span.items() if seen.get(key, 0.0) < updated}


def evenly(vendor: Vendor, rows: int, seconds: float) -> None:
    """Shipments change one after the other, in an order that has nothing to do with that of their registration."""
    numbers = random.Random(1).sample(range(rows), rows)
    for position, number in enumerate(numbers):
        vendor.change([number], SINCE + 1 + int(seconds * position / rows))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("says_total", [True, False])
def test_no_change_is_missed_while_shipments_change_all_the_time(order: str, inclusive: bool, says_total: bool) -> None:
    vendor = Vendor(ORDERS[order], inclusive, says_total)
    evenly(vendor, 5_000, 120)
    rng = random.Random(2)

    def shipments_move() -> None:
        vendor.now += 1
        vendor.change(rng.sample(range(8_000), 40), vendor.now)

    seen = read(vendor, ChangeList(SINCE), shipments_move)
    assert missed(vendor, seen) == set()


def test_a_list_of_one_page_takes_one_call() -> None:
    vendor = Vendor(ORDERS["by registration"])
    evenly(vendor, PAGE_SIZE, 60)
    assert len(read(vendor, ChangeList(SINCE))) == PAGE_SIZE
    assert vendor.calls == 1


def test_a_long_list_takes_one_call_more_than_it_has_spans() -> None:
    vendor = Vendor(ORDERS["by registration"])
    evenly(vendor, 3_000, 90)
    assert len(read(vendor, ChangeList(SINCE))) == 3_000
    assert vendor.calls == 1 + 2


def test_the_next_long_list_is_divided_from_the_beginning() -> None:
    vendor = Vendor(ORDERS["by registration"])
    evenly(vendor, 3_100, 92)
    assert len(read(vendor, ChangeList(SINCE, until=SINCE + 90, rows_per_second=34.0))) == 3_100
    assert vendor.calls == 2


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rows", [2_500, 9_000, 40_000])
def test_a_list_in_any_order_takes_at_most_three_calls_for_each_page(order: str, rows: int) -> None:
    vendor = Vendor(ORDERS[order])
    evenly(vendor, rows, 1_800)
    assert len(read(vendor, ChangeList(SINCE))) == rows
    assert vendor.calls <= 3 * (rows / PAGE_SIZE + 1)


@pytest.mark.parametrize("order", ORDERS)
def test_a_bulk_change_within_a_second_is_read_page_by_page(order: str) -> None:
    vendor = Vendor(ORDERS[order])
    vendor.change(range(4_500), SINCE + 40)
    assert len(read(vendor, ChangeList(SINCE))) == 4_500
    assert vendor.calls == 3


def test_a_span_of_several_pages_has_the_changes_before_its_first_page() -> None:
    vendor = Vendor(ORDERS["by registration"])
    vendor.change(range(4_500), SINCE + 40)
    assert missed(vendor, read(vendor, ChangeList(SINCE), lambda: vendor.change([0], SINCE + 60))) == set()


def test_a_bulk_change_is_abandoned_if_its_rows_move() -> None:
    vendor = Vendor(ORDERS["oldest change first"])
    vendor.change(range(4_500), SINCE + 40)
    with pytest.raises(AssertionError, match="abandoned"):
        read(vendor, ChangeList(SINCE), lambda: vendor.change([0], SINCE + 60))


def test_a_bulk_change_is_abandoned_if_the_responses_do_not_say_how_long_the_list_is() -> None:
    vendor = Vendor(ORDERS["by registration"], says_total=False)
    vendor.change(range(4_500), SINCE + 40)
    with pytest.raises(AssertionError, match="abandoned"):
        read(vendor, ChangeList(SINCE))
    assert vendor.calls == 1


def test_a_filter_that_is_ignored_does_not_cost_calls_without_end() -> None:
    vendor = Vendor(ORDERS["by registration"])
    evenly(vendor, 6_000, 600)
    page = vendor.page
    vendor.page = lambda low, high, number: page(SINCE, float("inf"), number)  # type: ignore[method-assign]
    with contextlib.suppress(AssertionError):
        read(vendor, ChangeList(SINCE))
    assert vendor.calls <= 5 * 3


@given(
    times=st.lists(st.integers(0, 100), min_size=1, max_size=400),
    moves=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3)), max_size=40),
    order=st.sampled_from(sorted(ORDERS)),
    inclusive=st.booleans(),
    page_size=st.integers(3, 50),
    until=st.integers(0, 102),
    rate=st.floats(0, 100),
)
def test_a_list_that_is_not_abandoned_has_every_change_before_the_response_for_its_last_span(
    times: Sequence[int],
    moves: Sequence[tuple[int, int]],
    order: str,
    inclusive: bool,
    page_size: int,
    until: int,
    rate: float,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (
            "airflow_provider_trackingmore.waiting.change_list",
            "airflow_provider_trackingmore.waiting.planner",
            "airflow_provider_trackingmore.waiting.responses",
            __name__,
        ):
            patch.setattr(f"{module}.PAGE_SIZE", page_size)
        vendor = Vendor(ORDERS[order], inclusive)
        for number, time in enumerate(times):
            vendor.change([number], SINCE + 1 + time)
        vendor.now, left = SINCE + 102, list(moves)

        def shipments_move() -> None:
            if left:
                number, seconds = left.pop()
                vendor.now += seconds
                vendor.change([number], vendor.now + (500 if number % 11 == 0 else 0))

        try:
            seen = read(vendor, ChangeList(SINCE, SINCE + until, rate), shipments_move)
        except AssertionError:
            return
        assert missed(vendor, seen) == set()
