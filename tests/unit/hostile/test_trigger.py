"""A trigger that another version stored, or nobody: it waits or ends in one event that says why, and never raises."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.triggers.shipments import ShipmentStatusTrigger
from tests.unit.hostile.things import CODES, NUMBERS, TEXTS, THINGS, assert_says_it_well, moderate

WENT_ON = "all arguments were understood"

PAIRS = st.tuples(st.sampled_from(CODES) | THINGS, st.sampled_from(NUMBERS) | THINGS)
SHIPMENTS = st.lists(
    PAIRS.map(list) | PAIRS.map(lambda pair: {"carrier_code": pair[0], "tracking_number": pair[1], "of_old": 1}),
    max_size=4,
)
STATUSES = st.lists(st.sampled_from(["delivered", "pickup", "expired"]) | TEXTS, max_size=3)
STORED = st.fixed_dictionaries(
    {"shipments": SHIPMENTS},
    optional={
        "statuses": STATUSES,
        "fail_on": STATUSES,
        "wait_for": st.sampled_from(["all", "any", 1, "2"]) | THINGS,
        "poke_interval": st.sampled_from([60, 0.5]) | THINGS,
        "deadline": st.sampled_from([0, 1772438400.5]) | THINGS,
        "trackingmore_conn_id": TEXTS | THINGS,
        "of_a_version_before": THINGS,
        "of_a_version_to_come": THINGS,
    },
)
ANYTHING = st.dictionaries(
    st.sampled_from(["shipments", "statuses", "fail_on", "wait_for", "poke_interval", "deadline"]), THINGS, max_size=4
)


@pytest.fixture(autouse=True)
def _no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def aget_conn(hook: TrackingMoreHook) -> Any:
        raise TrackingMoreError(WENT_ON)

    monkeypatch.setattr(TrackingMoreHook, "aget_conn", aget_conn)


def events_of(kwargs: dict[str, Any]) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        return [event.payload async for event in ShipmentStatusTrigger(**kwargs).run()]

    return asyncio.run(run())


def assert_one_clear_event(events: list[dict[str, Any]]) -> None:
    (event,) = events
    assert json.loads(json.dumps(event)) == event
    if (event["result"], event["outcomes"]) == ("released", []):
        return  # nothing to wait for is waited for at once
    assert event["result"] == "error"
    assert_says_it_well(event["reason"])


@moderate(300)
@given(stored=STORED)
def test_what_is_stored_for_a_trigger_ends_in_one_clear_event_or_is_understood(stored: dict[str, Any]) -> None:
    assert_one_clear_event(events_of(stored))


def test_what_another_version_stored_beside_it_is_not_in_the_way() -> None:
    stored = {"shipments": [["usps", "RN123456785CN"]], "of_a_version_before": [1], "of_a_version_to_come": {"a": None}}
    assert [event["reason"] for event in events_of(stored)] == [WENT_ON]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wait_for", None),
        ("wait_for", 0),
        ("poke_interval", "60"),
        ("poke_interval", None),
        ("deadline", "tomorrow"),
        ("deadline", float("nan")),
        ("deadline", 10**400),
        ("statuses", []),
        ("fail_on", ["lost"]),
        ("shipments", [["usps", 9400]]),
        ("shipments", [["../carriers", "9400"]]),
    ],
)
def test_a_wrong_argument_ends_in_an_event_that_says_so(name: str, value: object) -> None:
    events = events_of({"shipments": [["usps", "RN123456785CN"]], name: value})
    assert_one_clear_event(events)
    assert events[0]["reason"] != WENT_ON


@settings(moderate(100), phases=[Phase.generate])
@given(stored=ANYTHING)
def test_nothing_that_is_stored_keeps_a_trigger_from_being_made(stored: dict[str, Any]) -> None:
    assert_one_clear_event(events_of(stored))
