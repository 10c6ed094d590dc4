"""Parcels with a history: at the start of the sandbox, and added while it runs."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import count

import pytest

from airflow_provider_trackingmore.sandbox.client import SandboxError
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.sandbox.seeding import seed_at_start
from airflow_provider_trackingmore.sandbox.state import SandboxState, Settings
from airflow_provider_trackingmore.sandbox.switches import SWITCHES

from .conftest import KEYS, START, Caller

MODULE = [sys.executable, "-m", "airflow_provider_trackingmore.sandbox"]
DAY = 86_400


def all_items(caller, **filters):
    items = []
    while True:
        page = len(items) // 2_000 + 1
        code, data = caller.get("/trackings/get", page=page, limit=2_000, **filters)
        if code == 4031:
            return items
        items += data["items"]
        if len(items) == int(data["total"]):
            return items


def events_of(item):
    return [row for leg in ("origin_info", "destination_info") for row in item.get(leg, {}).get("trackinfo") or []]


@pytest.fixture(scope="module")
def large():
    with SandboxProcess(api_keys=KEYS, no_limits=True, start=START, parcels=5_000, over_days=90) as process:
        process.freeze()
        yield process


def test_a_sandbox_starts_with_parcels_of_all_kinds_and_carriers(large):
    caller = Caller(large.base_url)
    items = all_items(caller)
    assert len({(item["carrier_code"], item["tracking_number"]) for item in items}) == 5_000
    assert len({item["carrier_code"] for item in items}) == 8
    counts = caller.get("/trackings/getstatusnumber")[1]
    assert counts == dict.fromkeys(counts, 0) | Counter(item["status"] for item in items)
    assert min(counts.values()) > 0
    descriptions = Counter(row["StatusDescription"] for item in items for row in events_of(item))
    for text in (
        "Delivery scan withdrawn, parcel under way again",
        "Proof of delivery received",
        "Passed through sorting centre",
        "Delivery attempt failed, nobody at home",
        "Returned to sender",
        "Parcel damaged or lost in handling",
    ):
        assert descriptions[text] > 0, text


def test_a_delivered_parcel_of_the_start_has_at_least_ten_events(large):
    delivered = all_items(Caller(large.base_url), status="delivered")
    numbers = Counter(len(events_of(item)) for item in delivered)
    assert min(numbers) == 10
    assert max(numbers) <= 13
    for item in delivered:
        dates = [row["Date"] for row in item["origin_info"]["trackinfo"]]
        assert dates == sorted(dates, reverse=True)


def test_the_parcels_of_the_start_were_registered_over_the_days(large):
    now = large.clock()["unix"]
    ages = [(now - tracking["created_at"]) / DAY for tracking in large.trackings()]
    assert 0 <= min(ages) < 0.2
    assert 89.8 < max(ages) <= 90.001
    assert len(large.trackings(1)) == 0
    assert large.accounts()[0]["quota_charged"] == 0


def test_the_clock_starts_when_the_parcels_are_there():
    state = SandboxState(Settings(api_keys=["k"], start=1e9, time_scale=1, parcels=10))
    state.clock.monotonic = count(0.0, 1_000.0).__next__
    seed_at_start(state)
    assert state.clock.now() == 1e9 + 1_000


def test_a_history_ends_as_if_the_clock_had_moved_through_it(sandbox, caller):
    """Seeding runs all refreshes of the past at once; a clock that moves hour by hour runs them one by one."""
    sandbox.freeze()
    sandbox.set_clock("2026-03-02T09:00:00+00:00")
    sandbox.seed(400, seed=5, ages_days=(0, 0), events=10)
    for _ in range(5 * 24 // 2):
        sandbox.advance(hours=2)
        caller.get("/trackings/getstatusnumber")
    slowly = all_items(caller)
    sandbox.reset()
    sandbox.freeze()
    sandbox.set_clock("2026-03-07T09:00:00+00:00")
    sandbox.seed(400, seed=5, ages_days=(5, 5), events=10)
    at_once = all_items(caller)
    assert at_once == slowly
    assert {item["updated_at"] for item in at_once} != {None}


@pytest.mark.parametrize("moves", ["change", "refresh"])
@pytest.mark.parametrize("delivered", ["null-at-first-refresh", "null", "time"])
def test_the_update_filter_finds_what_the_items_say(sandbox, caller, moves, delivered):
    sandbox.switch(updated_at_moves=moves, updated_at_delivered=delivered, tz="+00:00")
    sandbox.freeze()
    sandbox.set_clock("2026-03-02T09:00:00+00:00")
    sandbox.seed(400, ages_days=(0, 20), events=10)
    items = all_items(caller)
    two_days_ago = int(sandbox.clock()["unix"]) - 2 * DAY
    floor = all_items(caller, update_time_min=two_days_ago)
    since = "2026-02-28T09:00:00+00:00"
    expected = [item for item in items if item["updated_at"] and item["updated_at"] >= since]
    assert 0 < len(expected) < len(items)
    assert floor == expected
    ceiling = all_items(caller, update_time_max=two_days_ago - 1)
    assert ceiling == [item for item in items if item["updated_at"] and item["updated_at"] < since]


def test_generated_parcels_take_events_and_details(sandbox, caller):
    sandbox.seed(5, ages_days=(30, 40), journey="DELIVERED-5D", events=15, details={"order_id": "A-{number}"})
    for item in all_items(caller):
        assert item["order_id"] == f"A-{item['tracking_number']}"
        assert len(events_of(item)) == 15


def test_more_parcels_can_be_added_while_others_list(sandbox, caller):
    sandbox.freeze()
    sandbox.seed(50, seed=1, ages_days=(0, 30))
    since = int(sandbox.clock()["unix"])
    sandbox.advance(60)
    assert caller.get("/trackings/get", created_at_min=since + 1)[0] == 4031
    added = {row["tracking_number"] for row in sandbox.seed(7, seed=2, ages_days=(0, 0))}
    assert {item["tracking_number"] for item in all_items(caller, created_at_min=since + 1)} == added


@pytest.mark.slow
@pytest.mark.parametrize("capacity", [0, 7])
def test_journeys_that_are_kept_are_shown_as_if_they_were_not(sandbox, caller, capacity):
    with SandboxProcess(api_keys=KEYS, no_limits=True, start=START, seed=1, cached_journeys=capacity) as other:
        other_caller = Caller(other.base_url)
        for each in (sandbox, other):
            each.freeze()
            each.set_clock("2026-03-02T09:00:00+00:00")
            each.seed(30, ages_days=(0, 20), carriers=["china-post", "dhl"], events=10)
        for name, switch in SWITCHES.items():
            for position in (*switch.values, switch.default):
                for each in (sandbox, other):
                    each.switch(**{name: position})
                    each.advance(hours=5)
                assert caller.get("/trackings/get", lang="cn") == other_caller.get("/trackings/get", lang="cn")
                assert caller.get("/trackings/get") == other_caller.get("/trackings/get")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--parcels", "-1"], "--parcels must be a number from 0 to 1000000"),
        (["--over-days", "inf"], "--over-days must be a number from 0 to 36500"),
        (["--cached-journeys", "-1"], "--cached-journeys must be a number from 0 to 1000000"),
        (["--events", "201"], "--events must be a number from 0 to 200"),
    ],
)
def test_an_invalid_history_is_explained(arguments, says):
    done = subprocess.run([*MODULE, *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert says in done.stderr


def test_too_many_events_are_rejected(sandbox):
    with pytest.raises(SandboxError, match="events"):
        sandbox.seed(1, events=201)
