"""A listing returns each row once from any vendor that the documentation allows, even if rows change meanwhile."""

from __future__ import annotations

import gc
import inspect
import math
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.listing import list_trackings
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.resources import Page

START = 1_772_438_400
CHINA = timezone(timedelta(hours=8))

DENSITIES = {"one a minute": 60.0, "ten a second": 0.1, "all in one second": 0.0}


@dataclass
class Row:
    number: str
    created: int
    updated: int
    rng: float
    matches: bool = True

    @property
    def key(self) -> ShipmentKey:
        return ShipmentKey("usps", self.number)


ORDERS: dict[str, Callable[[Row], tuple[float, ...]]] = {
    "newest first": lambda row: (-row.created, row.rng),
    "oldest first": lambda row: (row.created, row.rng),
    "by update": lambda row: (-row.updated, row.rng),
    "arbitrary": lambda row: (row.rng,),
}


@dataclass
class Vendor:
    """Holds rows and answers ``GET /trackings/get`` (1.6) in one of the ways that the documentation leaves open."""

    rows: list[Row]
    order: str = "newest first"
    inclusive: bool = True
    total: str = "right"
    zone: str = "+08:00"
    seed: int = 0
    move: Callable[[Vendor], None] | None = None
    calls: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.now = START + 10_000
        self.always_present = {row.key for row in self.rows if row.matches}
        self.ever_present = set(self.always_present)

    def answer(self, request: Request[Page]) -> Page:
        if self.calls and self.move:
            self.move(self)
        self.calls.append(dict(request.query))
        assert len(self.calls) < 5_000, "the listing does not end"
        self.ever_present |= {row.key for row in self.rows if row.matches}
        self.rows.sort(key=ORDERS[self.order])
        found = list(filter(self._matches, self.rows))
        size = int(request.query["limit"])
        first = (int(request.query["page"]) - 1) * size
        rows = [self._to_json(row) for row in found[first : first + size]]
        if not rows:
            return request.parse([])
        total = {"right": {"total": str(len(found))}, "absent": {}, "of the account": {"total": len(self.rows)}}
        return request.parse({"items": rows, **total[self.total]})

    def leave(self, row: Row) -> None:
        row.matches = False
        self.always_present.discard(row.key)

    def delete(self, row: Row) -> None:
        self.leave(row)
        self.rows.remove(row)

    def add(self, number: str, created: int) -> Row:
        row = Row(number, created, self.now, self.random.random())
        self.rows.append(row)
        return row

    def _matches(self, row: Row) -> bool:
        query = self.calls[-1]
        low, high = int(query.get("created_at_min", 0)), int(query.get("created_at_max", 2**40))
        within = low <= row.created <= high if self.inclusive else low < row.created < high
        return row.matches and within

    def _to_json(self, row: Row) -> dict[str, Any]:
        created = datetime.fromtimestamp(row.created, CHINA).isoformat().replace("+08:00", self.zone)
        return {"tracking_number": row.number, "carrier_code": "usps", "status": "transit", "created_at": created}


def make_rows(count: int, seconds_apart: float, seed: int = 0) -> list[Row]:
    rng = random.Random(seed)
    return [
        Row(f"N{at:05d}", START + int(at * seconds_apart), START + rng.randrange(10_000), rng.random())
        for at in range(count)
    ]


def change_rows(vendor: Vendor) -> None:
    """Between two calls, delete, register and update rows, and let some leave or enter the filter."""
    vendor.now += 1
    for _ in range(vendor.random.choice((0, 0, 0, 1, 2))):
        row = vendor.random.choice(vendor.rows)
        what = vendor.random.choice(("delete", "leave", "enter", "register", "register again", "update"))
        if what == "delete" and len(vendor.rows) > 1:
            vendor.delete(row)
        elif what == "leave":
            vendor.leave(row)
        elif what == "enter":
            row.matches = True
        elif what == "register":
            vendor.add(f"NEW{vendor.now}{vendor.random.random()}", vendor.now)
        elif what == "register again" and len(vendor.rows) > 1:
            vendor.delete(row)
            vendor.add(row.number, vendor.now)
        row.updated = vendor.now


def list_all(vendor: Vendor, page_size: int, **filters: Any) -> Iterator[Tracking]:
    """Run the listing as the hook does."""
    steps = list_trackings(filters, page_size=page_size)
    try:
        step = next(steps)
        while True:
            if isinstance(step, Request):
                step = steps.send(vendor.answer(step))
            else:
                yield from step
                step = next(steps)
    except StopIteration:
        return


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("total", ["right", "absent"])
@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("order", ORDERS)
class TestAnyVendor:
    def test_each_row_is_returned_once(self, order: str, inclusive: bool, total: str, density: str) -> None:
        for page_size in (1, 2, 3, 7, 20, 60, 61, 2000):
            vendor = Vendor(make_rows(60, DENSITIES[density]), order, inclusive, total)
            keys = [row.key for row in list_all(vendor, page_size)]
            assert len(keys) == len(set(keys))
            assert set(keys) == vendor.always_present

    def test_no_row_is_repeated_or_missed_while_rows_change(
        self, order: str, inclusive: bool, total: str, density: str
    ) -> None:
        for seed in range(10):
            page_size = (2, 5, 15, 20, 40)[seed % 5]
            rows = make_rows(80, DENSITIES[density], seed)
            for row in rows[::7]:
                row.matches = False
            vendor = Vendor(rows, order, inclusive, total, seed=seed, move=change_rows)
            keys = [row.key for row in list_all(vendor, page_size, status="transit")]
            assert len(keys) == len(set(keys)), seed
            assert vendor.always_present <= set(keys), seed
            assert set(keys) <= vendor.ever_present, seed


def test_a_row_registered_again_is_returned_once_even_if_a_response_with_it_is_not_consumed_yet() -> None:
    def move(vendor: Vendor) -> None:
        by_number = {row.number: row for row in vendor.rows}
        if len(vendor.calls) == 1:  # the totals of the first two responses do not add up
            vendor.leave(by_number["N00010"])
        if len(vendor.calls) == 2:  # and before the first span is requested again, a row of the second one moves up
            vendor.delete(by_number["N00030"])
            vendor.add("N00030", vendor.now)

    vendor = Vendor(make_rows(60, 60.0), move=move)
    numbers = [row.tracking_number for row in list_all(vendor, 20)]
    assert len(vendor.calls) > 4
    assert numbers.count("N00030") == 1
    assert len(numbers) == 59


@pytest.mark.parametrize("page_size", [1, 50, 2000])
def test_a_list_that_fits_into_one_response_takes_one_call_with_the_filters_only(page_size: int) -> None:
    vendor = Vendor(make_rows(page_size, 1.0))
    since = datetime(2026, 3, 1, tzinfo=UTC)
    assert len(list(list_all(vendor, page_size, status="transit", created_at_min=since, archived=None))) == page_size
    assert vendor.calls == [
        {"page": "1", "limit": str(page_size), "status": "transit", "created_at_min": str(int(since.timestamp()))}
    ]


@pytest.mark.parametrize("total", ["right", "absent", "of the account"])
def test_an_empty_account_costs_one_call(total: str) -> None:
    vendor = Vendor([], total=total)
    assert list(list_all(vendor, 100)) == []
    assert len(vendor.calls) == 1


@pytest.mark.parametrize(("seconds_apart", "in_one_second"), [(60.0, 1), (1.0, 1), (0.2, 5), (0.025, 40)])
def test_newest_first_costs_hardly_more_calls_than_there_are_pages(seconds_apart: float, in_one_second: int) -> None:
    count, page_size = 10_000, 500
    vendor = Vendor(make_rows(count, seconds_apart))
    assert sum(1 for _ in list_all(vendor, page_size)) == count
    # The last second of a response may continue in the next one, which repeats it and the second before.
    assert len(vendor.calls) <= math.ceil(count / (page_size - 2 * in_one_second))
    if in_one_second == 1:
        assert len(vendor.calls) <= count / page_size + 1


@pytest.mark.parametrize("total", ["right", "absent"])
@pytest.mark.parametrize("order", ["oldest first", "by update", "arbitrary"])
def test_any_other_order_costs_a_few_calls_for_each_page(order: str, total: str) -> None:
    count, page_size = 3_000, 100
    vendor = Vendor(make_rows(count, 7.0), order, total=total)
    assert sum(1 for _ in list_all(vendor, page_size)) == count
    assert len(vendor.calls) <= 4 * count / page_size


def test_another_order_does_not_recurse_with_each_page() -> None:
    vendor = Vendor(make_rows(500, 1.0), "oldest first")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        found = {row.key for row in list_all(vendor, 3)}
    finally:
        sys.setrecursionlimit(limit)
    assert len(found) == 500


@pytest.mark.parametrize("page_size", [1, 4, 30, 2000])
@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("order", ORDERS)
def test_the_users_own_range_means_the_same_however_many_calls_it_takes(
    order: str, inclusive: bool, page_size: int
) -> None:
    vendor = Vendor(make_rows(300, 1 / 3), order, inclusive)
    low, high = START + 20, START + 60
    found = {row.key for row in list_all(vendor, page_size, created_at_min=low, created_at_max=high)}
    first, last = (low, high) if inclusive else (low + 1, high - 1)
    assert found == {row.key for row in vendor.rows if first <= row.created <= last}
    assert all(low <= int(call["created_at_min"]) and int(call["created_at_max"]) <= high for call in vendor.calls), (
        "a call requests more than the user's range"
    )


def test_an_empty_range_of_times_finds_nothing() -> None:
    vendor = Vendor(make_rows(50, 1.0))
    assert list(list_all(vendor, 10, created_at_min=START + 30, created_at_max=START + 10)) == []
    assert len(vendor.calls) == 1


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("page_size", [10, 100])
def test_every_call_has_the_users_other_filters(order: str, page_size: int) -> None:
    vendor = Vendor(make_rows(200, 0.2), order)
    list(list_all(vendor, page_size, status="transit", orders=["A-1", "A-2"], archived=False, update_time_min=7))
    assert len(vendor.calls) > 1
    for call in vendor.calls:
        fixed = {name: call[name] for name in ("status", "orders", "archived", "update_time_min", "limit")}
        assert fixed == {
            "status": "transit",
            "orders": "A-1,A-2",
            "archived": "false",
            "update_time_min": "7",
            "limit": str(page_size),
        }


@pytest.mark.parametrize("page_size", [3, 20])
@pytest.mark.parametrize("order", ORDERS)
def test_rows_without_a_valid_date_are_returned_once(order: str, page_size: int) -> None:
    vendor = Vendor(make_rows(90, 40.0), order, zone="")
    keys = [row.key for row in list_all(vendor, page_size)]
    assert len(keys) == len(set(keys)) == 90


@pytest.mark.parametrize("order", ORDERS)
def test_a_total_that_counts_the_whole_account_neither_hides_rows_nor_causes_endless_requests(order: str) -> None:
    rows = make_rows(60, 3_600.0)
    for row in rows[::2]:
        row.matches = False
    vendor = Vendor(rows, order, total="of the account")
    keys = [row.key for row in list_all(vendor, 7, status="transit")]
    assert len(keys) == len(set(keys)) == 30


def test_rows_are_released_once_they_have_been_yielded() -> None:
    def trackings() -> int:
        return sum(type(candidate) is Tracking for candidate in gc.get_objects())

    def most_alive(count: int) -> int:
        gc.collect()
        before, alive = trackings(), 0
        for at, _ in enumerate(list_all(Vendor(make_rows(count, 1.0)), 100)):
            if at % 100 == 50:
                alive = max(alive, trackings() - before)
        return alive

    assert max(most_alive(500), most_alive(2_500)) <= 3 * 100


@pytest.mark.parametrize(
    ("filters", "page_size"),
    [({"carrier": "usps"}, 10), ({"status": 4}, 10), ({"created_at_min": "yesterday"}, 10), ({}, 0), ({}, 2001)],
)
def test_invalid_filters_are_refused_before_any_call(filters: dict[str, Any], page_size: int) -> None:
    vendor = Vendor(make_rows(5, 1.0))
    with pytest.raises(InvalidArgumentError):
        next(list_all(vendor, page_size, **filters))
    assert vendor.calls == []
