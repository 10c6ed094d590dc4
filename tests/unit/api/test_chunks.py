"""Lookups of many entries: how many fit into a call, what a call that is too large costs, what an error keeps."""

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
    """Takes so many entries a call, and fails at a certain one."""

    def __init__(self, most: int, fails_at: int | None = None) -> None:
        self.most = most
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
        if len(request.body) > self.most:
            raise BatchTooLargeError("too many", code=4020)
        if self.fails_at in request.body:
            raise QuotaExceededError("no quota", code=4021)
        return list(request.body)


@pytest.mark.parametrize(
    ("entries", "most", "calls"),
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
def test_a_call_that_is_too_large_is_halved_once_for_all(entries: int, most: int, calls: list[int]) -> None:
    vendor = Vendor(most)
    assert vendor.look_up(range(entries), 20) == list(range(entries))
    assert vendor.calls == calls


def test_one_entry_that_is_too_many_ends_it() -> None:
    vendor = Vendor(0)
    with pytest.raises(LookupInterruptedError) as caught:
        vendor.look_up(range(8), 4)
    assert vendor.calls == [4, 2, 1]
    assert isinstance(caught.value.cause, BatchTooLargeError)
    assert caught.value.found == []


def test_an_error_has_what_was_found_before_it() -> None:
    vendor = Vendor(2, fails_at=6)
    with pytest.raises(LookupInterruptedError) as caught:
        vendor.look_up(range(9), 4)
    assert vendor.calls == [4, 2, 2, 2, 2]
    assert isinstance(caught.value.cause, QuotaExceededError)
    assert caught.value.found == [0, 1, 2, 3, 4, 5]


def test_an_entry_that_cannot_be_sent_is_refused_before_any_call() -> None:
    vendor = Vendor(20)
    with pytest.raises(InvalidArgumentError):
        vendor.look_up([*range(50), -1], 20)
    assert vendor.calls == []
