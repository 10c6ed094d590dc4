"""Lookups of many entries: calls that are too large are halved, and an error has the results of earlier calls."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import pytest

from airflow_provider_trackingmore.api.chunks import request_in_chunks
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import BatchTooLargeError, InvalidArgumentError, QuotaExceededError
from airflow_provider_trackingmore.api.interruptions import LookupInterruptedError
from airflow_provider_trackingmore.client.runner import run


class Vendor:
    """Accepts a number of entries per call, and fails at a certain one."""

    def __init__(self, maximum: int, fails_at: int | None = None) -> None:
        self.maximum = maximum
        self.fails_at = fails_at
        self.calls: list[int] = []

    def look_up(self, entries: Sequence[int], size: int) -> list[int]:
        return run(request_in_chunks(self.request, entries, size, [], operator.add), self.send)

    def request(self, entries: Sequence[int]) -> Request[list[int]]:
        if any(entry < 0 for entry in entries):
            raise InvalidArgumentError("below 0")
        return Request(method="POST", path="/x", body=list(entries), parse=lambda data: [])

    def send(self, request: Request[list[int]]) -> list[int]:
        assert isinstance(request.body, list)
        self.calls.append(len(request.body))
        if len(request.body) > self.maximum:
            raise BatchTooLargeError("too many", code=4020)
        if self.fails_at in request.body:
            raise QuotaExceededError("no quota", code=4021)
        return list(request.body)


@pytest.mark.parametrize(
    ("entries", "maximum", "calls"),
    [
        (0, 20, []),
        (1, 20, [1]),
        (20, 20, [20]),
        (45, 20, [20, 20, 5]),
        (45, 10, [20, 10, 10, 10, 10, 5]),
        (45, 7, [20, 10] + [5] * 9),
        (3, 1, [3, 1, 1, 1]),
    ],
)
def test_a_call_that_is_too_large_is_halved_and_so_are_later_ones(entries: int, maximum: int, calls: list[int]) -> None:
    vendor = Vendor(maximum)
    assert vendor.look_up(range(entries), 20) == list(range(entries))
    assert vendor.calls == calls


def test_a_single_entry_that_is_refused_as_too_many_ends_the_lookup() -> None:
    vendor = Vendor(0)
    with pytest.raises(LookupInterruptedError) as caught:
        vendor.look_up(range(8), 4)
    assert vendor.calls == [4, 2, 1]
    assert isinstance(caught.value.cause, BatchTooLargeError)
    assert caught.value.found == []


def test_an_error_has_the_results_of_earlier_calls() -> None:
    vendor = Vendor(2, fails_at=6)
    with pytest.raises(LookupInterruptedError) as caught:
        vendor.look_up(range(9), 4)
    assert vendor.calls == [4, 2, 2, 2, 2]
    assert isinstance(caught.value.cause, QuotaExceededError)
    assert caught.value.found == [0, 1, 2, 3, 4, 5]


def test_an_invalid_entry_is_refused_before_any_call() -> None:
    vendor = Vendor(20)
    with pytest.raises(InvalidArgumentError):
        vendor.look_up([*range(50), -1], 20)
    assert vendor.calls == []
