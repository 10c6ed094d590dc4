"""With any stored value, a trigger waits, or ends with one event that says why, and never raises."""

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
from tests.unit.hostile.arbitrary_input import (
    ANY_VALUE,
    CODES,
    NUMBERS,
    TEXTS,
    assert_readable_message,
    hypothesis_settings,
)

ACCEPTED = "all arguments were understood"

CARRIERS = st.lists(st.sampled_from(CODES) | ANY_VALUE, max_size=3)
RUNS = st.lists(
    st.tuples(st.integers(-1, 3) | ANY_VALUE, st.lists(st.sampled_from(NUMBERS) | ANY_VALUE, max_size=3)).map(
        lambda run: [run[0], *run[1]]
    ),
    max_size=4,
)
STATUSES = st.lists(st.sampled_from(["delivered", "pickup", "expired"]) | TEXTS, max_size=3)
STORED = st.fixed_dictionaries(
    {"version": st.just(1), "carriers": CARRIERS, "shipments": RUNS},
    optional={
        "orders": st.dictionaries(TEXTS, RUNS, max_size=2) | ANY_VALUE,
        "end_in_triggerer": st.lists(st.sampled_from(["released", "failed"]) | ANY_VALUE, max_size=2) | ANY_VALUE,
        "statuses": STATUSES,
        "fail_on": STATUSES,
        "wait_for": st.sampled_from(["all", "any", 1, "2"]) | ANY_VALUE,
        "poke_interval": st.sampled_from([60, 0.5]) | ANY_VALUE,
        "deadline": st.sampled_from([0, 1772438400.5]) | ANY_VALUE,
        "trackingmore_conn_id": TEXTS | ANY_VALUE,
        "of_an_older_version": ANY_VALUE,
        "of_a_newer_version": ANY_VALUE,
    },
)
NAMES = ("version", "carriers", "shipments", "orders", "statuses", "fail_on", "wait_for", "poke_interval", "deadline")
ANYTHING = st.dictionaries(st.sampled_from(NAMES), ANY_VALUE, max_size=4) | ANY_VALUE
GOOD = {"version": 1, "carriers": ["usps"], "shipments": [[0, "RN123456785CN"]]}


@pytest.fixture(autouse=True)
def _no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def aget_conn(hook: TrackingMoreHook) -> Any:
        raise TrackingMoreError(ACCEPTED)

    monkeypatch.setattr(TrackingMoreHook, "aget_conn", aget_conn)


def events_of(stored: Any) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        return [event.payload async for event in ShipmentStatusTrigger(stored).run()]

    return asyncio.run(run())


def assert_one_clear_event(events: list[dict[str, Any]]) -> None:
    (event,) = events
    assert json.loads(json.dumps(event)) == event
    if event["result"] == "released" and not any(event["outcomes"]):
        return  # there is nothing to wait for
    assert event["result"] == "error"
    assert_readable_message(event["reason"])


@hypothesis_settings(300)
@given(stored=STORED)
def test_a_stored_value_is_accepted_or_ends_in_one_clear_event(stored: Any) -> None:
    assert_one_clear_event(events_of(stored))


def test_fields_of_other_versions_are_ignored() -> None:
    stored = GOOD | {"of_an_older_version": [1], "of_a_newer_version": {"a": None}}
    assert [event["reason"] for event in events_of(stored)] == [ACCEPTED]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wait_for", None),
        ("wait_for", 0),
        ("poke_interval", None),
        ("deadline", "tomorrow"),
        ("deadline", float("nan")),
        ("deadline", 10**400),
        ("statuses", []),
        ("fail_on", ["lost"]),
        ("version", 2),
        ("version", True),
        ("shipments", [[0, 9400]]),
        ("shipments", [[1, "9400"]]),
        ("shipments", None),
        ("carriers", ["../carriers"]),
        ("orders", [["usps", "9400"]]),
        ("end_in_triggerer", ["never"]),
        ("push_result", "no"),
    ],
)
def test_an_invalid_argument_ends_in_an_event_that_says_so(name: str, value: object) -> None:
    events = events_of(GOOD | {name: value})
    assert_one_clear_event(events)
    assert events[0]["reason"] != ACCEPTED


@settings(hypothesis_settings(100), phases=[Phase.generate])
@given(stored=ANYTHING)
def test_a_trigger_is_created_from_any_stored_value(stored: Any) -> None:
    assert_one_clear_event(events_of(stored))
