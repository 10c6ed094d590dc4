"""What time does to a wait: status only moves forward, arrivals settle, shipments get stuck, orders end one by one."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.errors import InvalidShipmentError
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.waiting.gate import Verdict
from airflow_provider_trackingmore.waiting.goals import STATUSES, Terms, wait, wait_for_orders
from airflow_provider_trackingmore.waiting.knowledge import Knowledge, follows
from airflow_provider_trackingmore.waiting.outcomes import Outcome

NOW = 1_800_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR
KEY = ShipmentKey("usps", "P0")
PARCEL = {"carrier_code": "usps", "tracking_number": "P0"}
EARLY, LATE = "2026-03-01T10:00:00", "2026-03-02T09:00:00"


def seen(status: str | None, last_update: str | None = None, key: ShipmentKey = KEY, **raw: Any) -> Outcome:
    """A shipment as a look finds it."""
    if status is None:
        return Outcome.of(key, None, NOW)
    row = {"carrier_code": key.carrier_code, "tracking_number": key.tracking_number, "status": status, **raw}
    return Outcome.of(key, Tracking.from_payload(row | {"lastUpdateTime": last_update}), NOW)


# A status only moves forward -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "is_news"),
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
def test_what_comes_too_late_changes_nothing(old: str | None, new: str | None, is_news: bool) -> None:
    assert follows(seen(old, EARLY), seen(new, LATE), reopens=False) is is_news


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
    assert follows(seen("delivered", EARLY), seen(new, moment), reopens=True) is reopens


def test_an_expired_shipment_does_not_reopen_but_by_delivery() -> None:
    assert not follows(seen("expired", EARLY), seen("transit", LATE), reopens=True)
    assert follows(seen("expired", EARLY), seen("delivered", LATE), reopens=True)


@given(st.lists(st.sampled_from([*STATUSES, "beamed_up"]), min_size=1))
def test_whatever_comes_after_a_delivery_it_stays_one(statuses: list[str]) -> None:
    known = Knowledge()
    for number, status in enumerate(["delivered", *statuses]):
        known.learn(seen(status, f"2026-03-{1 + number % 28:02d}T10:00:00"), NOW)
    assert known.of(KEY).status == "delivered"


# Settling ------------------------------------------------------------------------------------------------------------


def settling(*looks: tuple[float, Outcome], seconds: float = HOUR) -> list[str]:
    """What a wait that settles says after each look."""
    awaited = wait(PARCEL, Terms(settle_seconds=seconds))
    known = Knowledge(reopens=awaited.reopens)
    said = []
    for after, look in looks:
        known.learn(look, NOW + after)
        said.append(awaited.decide(known, NOW + after).result)
    return said


def test_an_arrival_counts_when_it_has_held_long_enough() -> None:
    arrived = seen("delivered", EARLY, stayTimeLength=0)
    assert settling((0, arrived), (HOUR - 1, arrived), (HOUR, arrived)) == ["waiting", "waiting", "released"]


def test_an_arrival_that_the_vendor_has_known_for_days_counts_at_once() -> None:
    assert settling((0, seen("delivered", EARLY, stayTimeLength=1))) == ["released"]
    assert settling((0, seen("delivered", EARLY, stayTimeLength=1)), seconds=1.5 * DAY) == ["waiting"]


def test_a_shipment_on_its_way_again_must_arrive_and_settle_anew() -> None:
    first, again = (seen("delivered", moment, stayTimeLength=0) for moment in (EARLY, "2026-03-02T20:00:00"))
    on_the_way = seen("transit", LATE, stayTimeLength=0)
    looks = [(0, first), (1800, on_the_way), (2 * HOUR, again), (2.5 * HOUR, again), (3 * HOUR, again)]
    assert settling(*looks) == ["waiting", "waiting", "waiting", "waiting", "released"]


def test_what_settles_is_still_asked_for_and_must_really_be_looked_at() -> None:
    awaited = wait([PARCEL, {"carrier_code": "dhl", "tracking_number": "P1"}], Terms(settle_seconds=HOUR))
    known = Knowledge(reopens=True)
    known.learn(seen("delivered", EARLY, stayTimeLength=0), NOW)
    assert awaited.still_open(known, NOW) == (KEY, ShipmentKey("dhl", "P1"))
    assert awaited.settling(known, NOW) == (KEY,)
    assert awaited.settling(known, NOW + HOUR) == ()


# Stuck, returned -----------------------------------------------------------------------------------------------------


def verdict(look: Outcome, **terms: Any) -> Verdict:
    known = Knowledge()
    known.learn(look, NOW)
    return wait(PARCEL, Terms(**terms)).decide(known, NOW)


@pytest.mark.parametrize(("days", "result"), [(4, "waiting"), (5, "failed"), (50, "failed")])
def test_no_new_event_for_too_long_is_an_outcome_of_its_own(days: int, result: str) -> None:
    said = verdict(seen("transit", EARLY, stayTimeLength=days), stuck_after=5 * DAY)
    assert said.result == result
    assert said.outcomes[0].outcome == ("stuck" if result == "failed" else "waiting")
    assert said.reason == ("usps P0: transit, stuck: no new event for too long" if result == "failed" else "")


def test_a_delivered_shipment_is_never_stuck() -> None:
    assert verdict(seen("delivered", EARLY, stayTimeLength=99), stuck_after=DAY).result == "released"


def test_one_that_moves_again_is_not_stuck_any_more() -> None:
    awaited = wait([PARCEL, {"carrier_code": "dhl", "tracking_number": "P1"}], Terms(wait_for="any", stuck_after=DAY))
    known = Knowledge()
    known.learn(seen("transit", EARLY, stayTimeLength=3), NOW)
    assert [one.outcome for one in awaited.decide(known, NOW).outcomes] == ["stuck", "waiting"]
    assert KEY in awaited.still_open(known, NOW)
    known.learn(seen("transit", LATE, stayTimeLength=0), NOW)
    assert [one.outcome for one in awaited.decide(known, NOW).outcomes] == ["waiting", "waiting"]


@pytest.mark.parametrize(
    ("row", "days"),
    [
        ({"lastUpdateTime": "2027-01-10 00:00"}, 4),  # NOW is 2027-01-15 08:00 UTC; the place may lie far in the west
        ({"lastUpdateTime": "2027-01-15 19:00"}, 0),
        ({"created_at": "2027-01-12T08:00:00+00:00"}, 3),
        ({"lastUpdateTime": "2027-01-01 00:00", "stayTimeLength": 2}, 2),
        ({}, 0),
    ],
)
def test_quiet_days_are_the_vendors_or_else_those_that_are_certain(row: dict[str, Any], days: int) -> None:
    assert Outcome.of(KEY, Tracking.from_payload({"status": "transit", **row}), NOW).quiet_days == days


@pytest.mark.parametrize("substatus", ["exception010", "exception011", "exception0010", "exception0011"])
@pytest.mark.parametrize("fail_on", [("exception",), ("returned",)])
def test_a_return_is_an_outcome_of_its_own(substatus: str, fail_on: tuple[str, ...]) -> None:
    said = verdict(seen("exception", EARLY, substatus=substatus), fail_on=fail_on)
    assert (said.result, said.outcomes[0].outcome) == ("failed", "returned")


def test_returned_alone_lets_other_exceptions_pass() -> None:
    assert verdict(seen("exception", EARLY, substatus="exception006"), fail_on=("returned",)).result == "waiting"


# Orders --------------------------------------------------------------------------------------------------------------

ORDERS = {
    "A-1": [PARCEL, {"carrier_code": "dhl", "tracking_number": "P1"}],
    "A-2": {"carrier_code": "ups", "tracking_number": "P2"},
    "A-3": [PARCEL],
}


def orders(states: dict[str, str | None], **terms: Any) -> Verdict:
    known = Knowledge()
    for number, status in states.items():
        carrier = {"P0": "usps", "P1": "dhl", "P2": "ups"}[number]
        known.learn(seen(status, EARLY, ShipmentKey(carrier, number)), NOW)
    return wait_for_orders(ORDERS, Terms(fail_on=("exception",), **terms)).decide(known, NOW)


def test_orders_are_waited_for_until_each_is_settled() -> None:
    assert orders({"P0": "delivered", "P1": "transit", "P2": "exception"}).result == "waiting"
    assert orders({"P0": "delivered", "P1": "delivered", "P2": "delivered"}).result == "released"
    said = orders({"P0": "delivered", "P1": "delivered", "P2": "exception"})
    assert (said.result, said.reason) == ("failed", "order A-2: ups P2: exception")


def test_the_result_has_one_entry_for_each_order() -> None:
    result = orders({"P0": "delivered", "P1": "transit", "P2": None}).timed_out().plain()
    assert [(one["order_id"], one["outcome"], one["delivered_at"]) for one in result] == [
        ("A-1", "timed_out", None),
        ("A-2", "not_registered", None),
        ("A-3", "delivered", EARLY),
    ]
    assert [parcel["outcome"] for parcel in result[0]["shipments"]] == ["delivered", "timed_out"]


def test_the_count_holds_in_each_order() -> None:
    said = orders({"P0": "delivered", "P1": "exception", "P2": "transit"}, wait_for="any")
    assert [one["outcome"] for one in said.plain()] == ["delivered", "waiting", "delivered"]


def test_an_order_that_is_settled_is_not_asked_for_again() -> None:
    awaited = wait_for_orders(ORDERS, Terms(wait_for="any"))
    known = Knowledge()
    known.learn(seen("delivered", EARLY), NOW)
    assert awaited.still_open(known, NOW) == (ShipmentKey("ups", "P2"),)


def test_an_event_of_orders_is_read_back_order_by_order() -> None:
    awaited = wait_for_orders(ORDERS, Terms(fail_on=("exception",)))
    said = orders({"P0": "delivered", "P1": "delivered", "P2": "exception"})
    entries = {
        name: [Outcome.from_dict(entry) for entry in own]
        for name, own in itertools.groupby(said.entries(), key=lambda entry: entry["order"])
    }
    confirmed = awaited.confirm(entries)
    assert (confirmed.result, confirmed.reason, confirmed.plain()) == (said.result, said.reason, said.plain())


@pytest.mark.parametrize(
    ("given_orders", "says"),
    [
        (["A-1"], "orders must map the name of each order to its shipments, not list"),
        ({7: [PARCEL]}, "an order's name must be text, not 7"),
        ({"A-1": []}, "order 'A-1': it has no shipments"),
        ({"A-1": [PARCEL], "A-2": [{"carrier_code": "ups"}]}, "order 'A-2': shipment 1: tracking_number is missing"),
    ],
)
def test_a_wrong_order_is_named(given_orders: object, says: str) -> None:
    with pytest.raises(InvalidShipmentError, match=says):
        wait_for_orders(given_orders, Terms())


@pytest.mark.parametrize(
    ("argument", "value"),
    [("settle_seconds", -1), ("settle_seconds", "soon"), ("stuck_after", True)],
)
def test_a_duration_that_is_none_is_named(argument: str, value: object) -> None:
    with pytest.raises(InvalidShipmentError, match=f"{argument} must be a number of seconds from 0"):
        wait(PARCEL, Terms(**{argument: value}))


@pytest.mark.parametrize(("value", "means"), [("3600", 3600.0), (7, 7.0), ("None", None), (None, None), ("", None)])
def test_a_duration_may_come_out_of_a_template(value: object, means: float | None) -> None:
    assert wait(PARCEL, Terms(stuck_after=value)).goals[None].stuck_after == means
