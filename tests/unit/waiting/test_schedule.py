"""When shipments are due, and until when none of them can be overdue."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.observation import Observation
from airflow_provider_trackingmore.waiting.registry import Registry, Subscription, WatchedShipment
from airflow_provider_trackingmore.waiting.schedule import Due, is_overdue

NOW = 10_000.0
intervals = st.sampled_from((1.0, 7.0, 60.0, 600.0))


@st.composite
def shipments(draw: st.DrawFn) -> list[WatchedShipment]:
    registry = Registry()
    for number in range(draw(st.integers(1, 6))):
        key = ShipmentKey("usps", f"N{number}")
        subscription = Subscription(draw(intervals), draw(intervals), lambda *_: None)
        shipment = registry.add(subscription, key.normalized, key)
        if draw(st.booleans()):
            shipment.observed = Observation("transit")
            shipment.checked_at = shipment.fully_checked_at = NOW - draw(st.floats(0, 700))
            shipment.full_check_due = shipment.fully_checked_at + shipment.reconcile_seconds
        if draw(st.booleans()):
            shipment.wanted_at = NOW + draw(st.floats(-10, 30))
            shipment.wants_full_check = draw(st.booleans())
        shipment.hold = draw(st.sampled_from((None, "failed")))
    return list(registry.shipments.values())


def is_found(shipment: WatchedShipment, now: float) -> bool:
    due = Due()
    due.add([shipment], now, -math.inf)
    return any(found.due_at <= now and is_overdue(found, now) for found in due.shipments)


@settings(max_examples=1_000)  # it takes as many to notice that each part of the time is needed
@given(st.data())
def test_no_shipment_is_overdue_before_the_time_that_was_computed(data: st.DataObject) -> None:
    watched = data.draw(shipments())
    due = Due()
    due.add(watched, NOW, -math.inf)
    until = due.nothing_overdue_until(NOW)
    if until <= NOW:
        return
    checked_at = NOW + data.draw(st.floats(0, 0.5)) * min(until - NOW, 1_000.0)
    for shipment in data.draw(st.lists(st.sampled_from(watched))):  # a page has them, whether or not they were due
        shipment.observed = Observation("transit")
        shipment.checked_at = shipment.fully_checked_at = checked_at
        shipment.full_check_due = checked_at + shipment.reconcile_seconds * data.draw(st.floats(0.1, 1))
        shipment.wanted_at, shipment.wants_full_check, shipment.hold = math.inf, False, None
    moment = checked_at + data.draw(st.sampled_from((0.1, 0.5, 0.99))) * min(until - checked_at, 1_000.0)
    assert not any(is_found(shipment, moment) for shipment in watched)


@given(shipments())
def test_it_is_not_before_now_without_a_reason(watched: list[WatchedShipment]) -> None:
    due = Due()
    due.add(watched, NOW, -math.inf)
    if due.nothing_overdue_until(NOW) <= NOW:
        assert any(is_overdue(shipment, NOW + 1e-6) for shipment in due.shipments)


def test_a_last_check_that_is_not_due_yet_ends_that_time() -> None:
    registry = Registry()
    key = ShipmentKey("usps", "N1")
    shipment = registry.add(Subscription(60.0, 60.0, lambda *_: None), key.normalized, key)
    shipment.observed = Observation("transit")
    shipment.checked_at = shipment.fully_checked_at = NOW
    shipment.full_check_due = NOW + 60.0
    shipment.wanted_at, shipment.wants_full_check = NOW + 20.0, True
    due = Due()
    due.add([shipment], NOW, -math.inf)
    assert not due.shipments
    assert due.nothing_overdue_until(NOW) == NOW + 20.0
