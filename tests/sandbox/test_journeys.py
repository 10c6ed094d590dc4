"""Journeys, without a server."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_trackingmore.sandbox.carriers import CARRIERS
from airflow_provider_trackingmore.sandbox.journey_steps import DAY
from airflow_provider_trackingmore.sandbox.journeys import (
    JOURNEYS,
    STATUSES,
    parse_magic_number,
    plan_journey,
    rejection_code,
)

PATHS = {
    "DELIVERED": ["notfound", "transit", "pickup", "delivered"],
    "INSTANT": ["delivered"],
    "UNDELIVERED": ["notfound", "transit", "undelivered", "pickup", "delivered"],
    "UNDELIVEREDSTUCK": ["notfound", "transit", "pickup", "undelivered"],
    "EXCEPTION": ["notfound", "transit", "exception"],
    "RETURNED": ["notfound", "transit", "exception"],
    "EXPIRED": ["notfound", "transit", "expired"],
    "STUCK": ["notfound", "transit"],
    "NOTFOUND": ["notfound"],
    "PENDING": [],
    "REOPEN": ["notfound", "transit", "pickup", "delivered", "transit", "delivered"],
    "PROOF": ["notfound", "transit", "pickup", "delivered"],
    "LATEEVENT": ["notfound", "transit", "pickup", "delivered"],
}


def statuses(number: str, carrier: str = "usps", seed: int = 0) -> list[str]:
    seen: list[str] = []
    for _, status in plan_journey(seed, 0, carrier, number, 0.0).status_changes():
        if not seen or seen[-1] != status:
            seen.append(status)
    return seen


def test_a_proof_of_delivery_is_a_second_delivered_checkpoint():
    delivered, proof = plan_journey(0, 0, "usps", "SBX-PROOF-2D-x", 0.0).steps[-2:]
    assert delivered.checkpoint.status == proof.checkpoint.status == "delivered"
    assert proof.local_time == delivered.local_time + DAY


def test_every_magic_journey_is_tested():
    assert set(PATHS) == set(JOURNEYS)


@pytest.mark.parametrize("carrier", ["usps", "dhl"])
@pytest.mark.parametrize("name", PATHS)
def test_a_magic_number_shows_its_statuses_in_order(name, carrier):
    assert statuses(f"SBX-{name}-a1", carrier) == PATHS[name]


@pytest.mark.parametrize("days", [1, 3, 9])
@pytest.mark.parametrize("carrier", ["usps", "dhl"])
@pytest.mark.parametrize("name", ["DELIVERED", "UNDELIVERED", "EXCEPTION", "UNDELIVEREDSTUCK", "EXPIRED"])
def test_a_magic_number_has_its_last_status_within_its_days(name, carrier, days):
    for at in range(20):
        changes = plan_journey(at, 0, carrier, f"SBX-{name}-{days}D-{at}", 1_000.0).status_changes()
        assert changes[-1][1] == PATHS[name][-1]
        assert (days - 0.6) * DAY < changes[-1][0] - 1_000 <= days * DAY


@pytest.mark.parametrize(("carrier", "days"), [("dhl", 30), ("usps", 60)])
def test_without_days_a_parcel_expires_after_the_documented_time(carrier, days):
    end = plan_journey(0, 0, carrier, "SBX-EXPIRED-x", 0.0).status_changes()[-1][0]
    assert (days - 1) * DAY < end <= days * DAY


def test_a_reopened_parcel_changes_once_a_day():
    *_, first, again, last = plan_journey(0, 0, "usps", "SBX-REOPEN-2D-x", 0.0).status_changes()
    assert [status for _, status in (first, again, last)] == ["delivered", "transit", "delivered"]
    assert again[0] - first[0] == last[0] - again[0] == DAY


def test_a_late_event_is_older_than_the_delivery_and_leaves_the_status():
    delivered, late = plan_journey(0, 0, "usps", "SBX-LATEEVENT-2D-x", 0.0).steps[-2:]
    assert late.at > delivered.at
    assert late.local_time < delivered.local_time
    assert (late.status, late.checkpoint.status) == ("delivered", "transit")


def test_a_returned_parcel_is_recognized_by_its_substatus():
    assert [step.substatus for step in plan_journey(0, 0, "usps", "SBX-RETURNED-x", 0.0).steps][-2:] == [
        "exception011",
        "exception010",
    ]


def test_the_same_arguments_give_the_same_journey():
    assert plan_journey(7, 1, "dhl", "ABC123456", 5.0) == plan_journey(7, 1, "dhl", "ABC123456", 5.0)


@pytest.mark.parametrize("other", [(8, 1, "dhl", "ABC123456"), (7, 0, "dhl", "ABC123456"), (7, 1, "ups", "ABC123456")])
def test_another_seed_account_or_carrier_gives_another_journey(other):
    assert plan_journey(*other, 5.0).steps != plan_journey(7, 1, "dhl", "ABC123456", 5.0).steps


def test_a_journey_that_starts_later_is_the_same_but_later():
    early, late = plan_journey(7, 0, "dhl", "ABC123456", 0.0), plan_journey(7, 0, "dhl", "ABC123456", 10 * DAY)
    assert [step.at + 10 * DAY for step in early.steps] == [step.at for step in late.steps]


def test_ordinary_numbers_are_a_realistic_mix():
    journeys = [plan_journey(3, 0, "dhl", f"N{at:08d}", 0.0) for at in range(5_000)]
    last = Counter(journey.steps[-1].status if journey.steps else "pending" for journey in journeys)
    assert 0.88 < last["delivered"] / 5_000 < 0.94
    assert {"exception", "expired", "transit", "notfound", "pending", "undelivered"} <= set(last)
    ends = [
        journey.status_changes()[-1][0]
        for journey in journeys
        if journey.steps and journey.steps[-1].status == "delivered"
    ]
    assert max(ends) < 15 * DAY


def test_steps_are_in_the_order_in_which_the_carrier_records_them():
    for carrier in CARRIERS:
        for at in range(10):
            journey = plan_journey(at, 0, carrier, f"N{at:08d}", 1e9)
            instants = [step.at for step in journey.steps]
            assert instants == sorted(instants)
            assert all(step.status in STATUSES for step in journey.steps)


def test_a_step_shows_at_the_first_refresh_after_it():
    journey = plan_journey(0, 0, "dhl", "SBX-DELIVERED-x", 1e9)
    for step in journey.steps:
        shown = journey.visible_at(step.at)
        assert shown >= step.at
        assert journey.last_refresh_before(shown) == shown
        assert shown == journey.first_refresh or shown - step.at < journey.interval
        assert journey.steps_until(shown) >= journey.steps.index(step) + 1


@pytest.mark.parametrize(("carrier", "hours"), [("dhl", 3), ("usps", 6)])
def test_express_is_refreshed_every_three_hours_and_post_every_six(carrier, hours):
    assert plan_journey(0, 0, carrier, "SBX-STUCK-x", 0.0).interval == hours * 3_600


@pytest.mark.parametrize(
    ("number", "read"),
    [
        ("SBX-DELIVERED-5D-abc", ("DELIVERED", 5)),
        ("sbx-delivered-abc", ("DELIVERED", None)),
        ("SBX-STUCK-0D-x", ("STUCK", 1)),
        ("SBX-NONSENSE-1", None),
        ("SBX-DELIVERED", None),
        ("1Z999", None),
    ],
)
def test_magic_numbers_are_parsed(number, read):
    assert parse_magic_number(number) == read


def test_a_number_can_request_an_error():
    assert rejection_code("SBX-REJECT-4014-x") == 4014
    assert rejection_code("SBX-DELIVERED-x") is None


def test_international_post_is_handed_to_the_post_of_the_destination():
    journey = plan_journey(0, 0, "china-post", "SBX-DELIVERED-x", 0.0, "PL")
    assert journey.destination_carrier == "poczta-polska"
    assert {step.checkpoint.abroad for step in journey.steps if step.checkpoint} == {False, True}
