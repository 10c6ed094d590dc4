"""Look up shipments of which some make every call that names them fail, over a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_trackingmore.api.errors import (
    AuthenticationError,
    MalformedResponseError,
    ServerError,
    TrackingMoreError,
)
from airflow_provider_trackingmore.api.interruptions import LookupInterruptedError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.rate_limit import clock as rate_limit_clock
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from tests.integration.client.fault_server import Behaviour, Exchange, FaultServer, Replay, answer, envelope

BAD: dict[str, tuple[Behaviour, type[TrackingMoreError]]] = {
    "500": (answer(envelope(500), status=500), ServerError),
    "HTML 502": (answer(b"<html>", status=502), ServerError),
    "malformed": (answer(b"{"), MalformedResponseError),
}


class Vendor:
    """Has every number, and fails as configured for calls with a bad one."""

    def __init__(self, server: FaultServer) -> None:
        self.calls: list[list[str]] = []
        self.bad: set[str] = set()
        self.fails: Behaviour = answer(envelope(500), status=500)
        self.down_from = 10**9
        self._server = server
        server.does(self.behave)

    def behave(self, exchange: Exchange) -> bool | None:
        replay = Replay(exchange)
        if replay.request is None:
            return False
        target = replay.request.split(b" ")[1].decode()
        query = parse_qs(urlsplit(target).query)
        numbers = query["numbers"][0].split(",") if "numbers" in query else [target.rpartition("/")[2]]
        self.calls.append(numbers)
        if self.bad.intersection(numbers) or len(self.calls) >= self.down_from:
            return self.fails(replay)
        rows = [{"tracking_number": number, "carrier_code": "ups", "status": "transit"} for number in numbers]
        return answer(envelope(data={"items": rows, "total": len(rows)} if "numbers" in query else rows[0]))(replay)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    server = FaultServer()
    yield Vendor(server)
    server.close()


@pytest.fixture
def hook(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrackingMoreHook]:
    extra = {"requests_per_second": 1000, "pacing": "memory", "max_attempts": 1}
    connection = {"conn_type": "trackingmore", "password": "key", "host": vendor._server.url, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))
    monkeypatch.setattr(rate_limit_clock, "WARM_GRACE_SECONDS", 0.01)
    monkeypatch.setattr(rate_limit_clock, "COLD_GRACE_SECONDS", 0.01)
    with TrackingMoreHook() as hook:
        yield hook


def shipments(count: int) -> list[dict[str, str]]:
    return [{"carrier_code": "ups", "tracking_number": f"N{at:03d}"} for at in range(count)]


def keys(count: int, *, without: set[str]) -> set[tuple[str, str]]:
    return {("ups", f"N{at:03d}") for at in range(count)} - {("ups", number) for number in without}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("bad", [{"N045"}, {"N000"}, {"N000", "N119"}, {"N045", "N046", "N047"}], ids=sorted)
def test_a_failing_number_does_not_affect_the_others(
    bad: set[str], kind: str, vendor: Vendor, hook: TrackingMoreHook
) -> None:
    vendor.bad = bad
    vendor.fails, error_class = BAD[kind]
    with pytest.raises(LookupInterruptedError) as caught:
        hook.find_trackings(shipments(120))
    assert isinstance(caught.value.cause, error_class)
    assert set(caught.value.found) == keys(120, without=bad)
    assert all(type(key) is ShipmentKey for key in caught.value.found)
    for number in bad:
        assert f"ups {number}" in caught.value.message
    assert len(vendor.calls) <= 3 + 12 * len(bad), "halving 40 numbers takes six steps of two calls"


def test_a_failing_number_with_a_comma_does_not_affect_the_others(vendor: Vendor, hook: TrackingMoreHook) -> None:
    vendor.bad = {"A%2C1"}
    with pytest.raises(LookupInterruptedError, match="A,1") as caught:
        hook.find_trackings([{"carrier_code": "ups", "tracking_number": "A,1"}, *shipments(3)])
    assert isinstance(caught.value.cause, ServerError)
    assert set(caught.value.found) == keys(3, without=set())


def test_three_similar_failures_at_the_start_end_the_lookup(vendor: Vendor, hook: TrackingMoreHook) -> None:
    vendor.down_from = 1
    with pytest.raises(LookupInterruptedError) as caught:
        hook.find_trackings(shipments(400))
    assert isinstance(caught.value.cause, ServerError)
    assert len(vendor.calls) == 3
    assert caught.value.found == {}


def test_a_service_that_goes_down_midway_is_not_sent_all_remaining_requests(
    vendor: Vendor, hook: TrackingMoreHook
) -> None:
    vendor.down_from = 4
    with pytest.raises(LookupInterruptedError) as caught:
        hook.find_trackings(shipments(1000))
    assert isinstance(caught.value.cause, ServerError)
    assert len(vendor.calls) == 3 + 3
    assert set(caught.value.found) == keys(120, without=set())


def test_a_definite_refusal_ends_the_lookup_and_keeps_what_was_found(vendor: Vendor, hook: TrackingMoreHook) -> None:
    vendor.down_from, vendor.fails = 3, answer(envelope(4001))
    with pytest.raises(LookupInterruptedError) as caught:
        hook.find_trackings(shipments(400))
    assert isinstance(caught.value.cause, AuthenticationError)
    assert len(vendor.calls) == 3
    assert set(caught.value.found) == keys(80, without=set())


@pytest.mark.parametrize("bad", [set(), {"N045"}], ids=len)
def test_a_number_that_is_refused_as_invalid_is_missing_and_not_an_error(
    bad: set[str], vendor: Vendor, hook: TrackingMoreHook
) -> None:
    vendor.bad, vendor.fails = bad, answer(envelope(4014))
    assert set(hook.find_trackings(shipments(120))) == keys(120, without=bad)


def test_a_proxy_that_answers_404_for_one_shipment_does_not_make_it_missing(
    vendor: Vendor, hook: TrackingMoreHook
) -> None:
    vendor.bad, vendor.fails = {"A%2C1"}, answer(b"<html>", status=404)
    with pytest.raises(TrackingMoreError, match="did not come from TrackingMore's API"):
        hook.find_trackings([{"carrier_code": "ups", "tracking_number": "A,1"}])
