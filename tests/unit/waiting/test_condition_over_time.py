"""Waits over time: a status only moves forward, arrivals settle, shipments get stuck, orders end one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.condition import Condition, confirm
from airflow_provider_trackingmore.waiting.history import History, supersedes
from airflow_provider_trackingmore.waiting.observation import NOT_REGISTERED, Observation
from airflow_provider_trackingmore.waiting.outcome import Outcome, Verdict
from airflow_provider_trackingmore.waiting.spec import STATUSES, WaitSpec

NOW = 1_800_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR
KEY = ShipmentKey("usps", "P0")
PARCEL = {"carrier_code": "usps", "tracking_number": "P0"}
EARLY, LATE = "2026-03-01T10:00:00", "2026-03-02T09:00:00"


def seen(status: str | None, last_update: str | None = None, **raw: Any) -> Observation:
    """The result of a check."""
    if status is None:
        return NOT_REGISTERED
    row = {"carrier_code": "usps", "tracking_number": "P0", "status": status, **raw}
    return Observation.from_record(row | {"lastUpdateTime": last_update}, NOW)


def wait(shipments: object = None, **options: Any) -> Condition:
    return Condition(WaitSpec.create(**{"shipments": shipments, "fail_on": ()} | options))


def take(condition: Condition, key: ShipmentKey, observed: Observation, now: float = NOW) -> None:
    condition.update(key.normalized, observed, now)
    condition.decide()


# A status only moves forward -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "is_newer"),
    [
        ("pending", "notfound", True),
        ("notfound", "pending", True),
        ("pending", "transit", True),
        ("transit", "notfound", False),
        ("transit", "pending", False),
        ("transit", "pickup", True),
        ("pickup", "transit", True),
        ("undelivered", "transit", True),
        ("exception", "transit", True),
        ("exception", "delivered", True),
        ("transit", "beamed_up", True),
        ("beamed_up", "transit", True),
        ("expired", "transit", False),
        ("expired", "delivered", True),
        ("delivered", "expired", False),
        ("delivered", "transit", False),
        ("delivered", "exception", False),
        ("delivered", "delivered", True),
        ("transit", None, True),
        ("delivered", None, False),
        (None, "transit", True),
    ],
)
def test_a_late_response_does_not_revert_the_state(old: str | None, new: str | None, is_newer: bool) -> None:
    assert supersedes(seen(new, LATE), seen(old, EARLY), reopens=False) is is_newer


@pytest.mark.parametrize(
    ("new", "moment", "reopens"),
    [
        ("transit", LATE, True),
        ("exception", LATE, True),
        ("transit", EARLY, False),
        ("transit", "2026-02-27T10:00:00", False),
        ("transit", None, False),
        ("pending", LATE, False),
        ("notfound", LATE, False),
    ],
)
def test_only_a_newer_event_on_the_way_reopens_a_delivery(new: str, moment: str | None, reopens: bool) -> None:
    assert supersedes(seen(new, moment), seen("delivered", EARLY), reopens=True) is reopens


def test_an_expired_shipment_reopens_only_by_delivery() -> None:
    assert not supersedes(seen("transit", LATE), seen("expired", EARLY), reopens=True)
    assert supersedes(seen("delivered", LATE), seen("expired", EARLY), reopens=True)


@given(st.lists(st.sampled_from([*STATUSES, "beamed_up"]), min_size=1))
def test_a_delivered_shipment_stays_delivered(statuses: list[str]) -> None:
    history = History()
    for number, status in enumerate(["delivered", *statuses]):
        newest = history.update(KEY, seen(status, f"2026-03-{1 + number % 28:02d}T10:00:00"), NOW)
        assert newest.status == "delivered"


# Settling ------------------------------------------------------------------------------------------------------------


def settling(*checks: tuple[float, Observation], seconds: float = HOUR) -> list[str]:
    """The results of a wait with ``settle_seconds``, after each check."""
    condition = wait(PARCEL, settle_seconds=seconds)
    said = []
    for after, observed in checks:
        take(condition, KEY, observed, NOW + after)
        said.append(condition.verdict().result.value)
    return said


def test_an_arrival_counts_once_it_has_lasted_long_enough() -> None:
    arrived = seen("delivered", EARLY, stayTimeLength=0)
    assert settling((0, arrived), (HOUR - 1, arrived), (HOUR, arrived)) == ["waiting", "waiting", "released"]


def test_an_arrival_that_the_vendor_has_known_for_days_counts_at_once() -> None:
    assert settling((0, seen("delivered", EARLY, stayTimeLength=1))) == ["released"]
    assert settling((0, seen("delivered", EARLY, stayTimeLength=1)), seconds=1.5 * DAY) == ["waiting"]


def test_a_shipment_in_transit_again_must_arrive_and_settle_again() -> None:
    first, again = (seen("delivered", moment, stayTimeLength=0) for moment in (EARLY, "2026-03-02T20:00:00"))
    on_the_way = seen("transit", LATE, stayTimeLength=0)
    checks = [(0, first), (1800, on_the_way), (2 * HOUR, again), (2.5 * HOUR, again), (3 * HOUR, again)]
    assert settling(*checks) == ["waiting", "waiting", "waiting", "waiting", "released"]


def test_shipments_that_settle_are_still_checked_in_full() -> None:
    condition = wait([PARCEL, {"carrier_code": "dhl", "tracking_number": "P1"}], settle_seconds=HOUR)
    take(condition, KEY, seen("delivered", EARLY, stayTimeLength=0))
    assert tuple(condition.open.values()) == (KEY, ShipmentKey("dhl", "P1"))
    assert condition.is_settling(KEY.normalized)
    take(condition, KEY, seen("delivered", EARLY, stayTimeLength=0), NOW + HOUR)
    assert not condition.is_settling(KEY.normalized)
    assert tuple(condition.open.values()) == (ShipmentKey("dhl", "P1"),)


# Stuck, returned -----------------------------------------------------------------------------------------------------


def verdict(observed: Observation, **options: Any) -> Verdict:
    condition = wait(PARCEL, **options)
    take(condition, KEY, observed)
    return condition.verdict()


@pytest.mark.parametrize(("days", "result"), [(4, "waiting"), (5, "failed"), (50, "failed")])
def test_no_new_event_for_too_long_is_an_outcome_of_its_own(days: int, result: str) -> None:
    said = verdict(seen("transit", EARLY, stayTimeLength=days), stuck_after=5 * DAY)
    assert said.result == result
    assert said.outcomes[0].outcome == ("stuck" if result == "failed" else "waiting")
    assert said.reason == ("usps P0: transit, stuck: no new event for too long" if result == "failed" else "")


def test_a_delivered_shipment_is_never_stuck() -> None:
    assert verdict(seen("delivered", EARLY, stayTimeLength=99), stuck_after=DAY).result == "released"


def test_one_that_moves_again_is_not_stuck_any_more() -> None:
    condition = wait([PARCEL, {"carrier_code": "dhl", "tracking_number": "P1"}], wait_for="any", stuck_after=DAY)
    take(condition, KEY, seen("transit", EARLY, stayTimeLength=3))
    assert [shipment.outcome for shipment in condition.verdict().outcomes] == ["stuck", "waiting"]
    assert condition.is_open(KEY.normalized)
    take(condition, KEY, seen("transit", LATE, stayTimeLength=0))
    assert [shipment.outcome for shipment in condition.verdict().outcomes] == ["waiting", "waiting"]


@pytest.mark.parametrize(
    ("row", "days"),
    [
        ({"lastUpdateTime": "2027-01-10 00:00"}, 4),  # NOW is 2027-01-15 08:00 UTC; the place may be far to the west
        ({"lastUpdateTime": "2027-01-15 19:00"}, 0),
        ({"created_at": "2027-01-12T08:00:00+00:00"}, 3),
        ({"lastUpdateTime": "2027-01-01 00:00", "stayTimeLength": 2}, 2),
        ({}, 0),
        ({"lastUpdateTime": "9999-12-31 23:00"}, 0),
    ],
)
def test_quiet_days_are_those_of_the_vendor_or_else_those_that_are_certain(row: dict[str, Any], days: int) -> None:
    assert Observation.from_record({"status": "transit", **row}, NOW).quiet_days == days


@pytest.mark.parametrize("substatus", ["exception010", "exception011", "exception0010", "exception0011"])
@pytest.mark.parametrize("fail_on", [("exception",), ("returned",)])
def test_a_return_is_an_outcome_of_its_own(substatus: str, fail_on: tuple[str, ...]) -> None:
    said = verdict(seen("exception", EARLY, substatus=substatus), fail_on=fail_on)
    assert (said.result, said.outcomes[0].outcome) == ("failed", "returned")


def test_with_returned_alone_other_exceptions_do_not_fail() -> None:
    assert verdict(seen("exception", EARLY, substatus="exception006"), fail_on=("returned",)).result == "waiting"


# Orders --------------------------------------------------------------------------------------------------------------

ORDERS = {
    "A-1": [PARCEL, {"carrier_code": "dhl", "tracking_number": "P1"}],
    "A-2": {"carrier_code": "ups", "tracking_number": "P2"},
    "A-3": [PARCEL],
}


def orders(states: dict[str, str | None], **options: Any) -> Verdict:
    condition = wait(orders=ORDERS, fail_on=("exception",), **options)
    for number, status in states.items():
        carrier = {"P0": "usps", "P1": "dhl", "P2": "ups"}[number]
        condition.update(ShipmentKey(carrier, number).normalized, seen(status, EARLY), NOW)
    condition.decide()
    return condition.verdict()


def test_orders_are_waited_for_until_each_is_settled() -> None:
    assert orders({"P0": "delivered", "P1": "transit", "P2": "exception"}).result == "waiting"
    assert orders({"P0": "delivered", "P1": "delivered", "P2": "delivered"}).result == "released"
    said = orders({"P0": "delivered", "P1": "delivered", "P2": "exception"})
    assert (said.result, said.reason) == ("failed", "order A-2: ups P2: exception")


def test_the_result_has_one_entry_for_each_order() -> None:
    result = orders({"P0": "delivered", "P1": "transit", "P2": None}).at_deadline().to_list()
    assert [(row["order"], row["outcome"], row["delivered_at"]) for row in result] == [
        ("A-1", "timed_out", None),
        ("A-2", "not_registered", None),
        ("A-3", "delivered", EARLY),
    ]
    assert [parcel["outcome"] for parcel in result[0]["shipments"]] == ["delivered", "timed_out"]


def test_wait_for_applies_to_each_order() -> None:
    said = orders({"P0": "delivered", "P1": "exception", "P2": "transit"}, wait_for="any")
    assert [shipment["outcome"] for shipment in said.to_list()] == ["delivered", "waiting", "delivered"]


def test_an_order_that_is_decided_is_not_checked_again() -> None:
    condition = wait(orders=ORDERS, wait_for="any")
    take(condition, KEY, seen("delivered", EARLY))
    assert tuple(condition.open.values()) == (ShipmentKey("ups", "P2"),)


def test_an_event_of_orders_is_read_back_order_by_order() -> None:
    said = orders({"P0": "delivered", "P1": "delivered", "P2": "exception"})
    rows = {
        name: [Outcome.from_row(shipment.key, shipment.to_row()) for shipment in own.outcomes]
        for name, own in said.orders.items()
    }
    confirmed = confirm(WaitSpec.create(orders=ORDERS, fail_on=("exception",)), rows)
    assert (confirmed.result, confirmed.reason, confirmed.to_list()) == (said.result, said.reason, said.to_list())


@pytest.mark.parametrize(
    ("given_orders", "says"),
    [
        (["A-1"], "orders must map the name of each order to its shipments, not list"),
        ({7: [PARCEL]}, "an order's name must be text, not 7"),
        ({"A-1": []}, "order 'A-1' has no shipments"),
        ({"A-1": [PARCEL], "A-2": [{"carrier_code": "ups"}]}, "order 'A-2': shipment 1: tracking_number is missing"),
    ],
)
def test_a_wrong_order_is_named(given_orders: object, says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        WaitSpec.create(orders=given_orders)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("settle_seconds", -1), ("settle_seconds", "soon"), ("stuck_after", True)],
)
def test_an_invalid_duration_is_named(argument: str, value: object) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{argument} must be a number of seconds from 0"):
        wait(PARCEL, **{argument: value})


@pytest.mark.parametrize(("value", "means"), [("3600", 3600.0), (7, 7.0), ("None", None), (None, None), ("", None)])
def test_a_duration_may_come_out_of_a_template(value: object, means: float | None) -> None:
    assert wait(PARCEL, stuck_after=value).spec.stuck_after == means
