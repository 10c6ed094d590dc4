"""The hook behaves the same at each position of each switch, which stand for all readings of unclear documentation.

The tests are parametrized from the sandbox's table, so that a new switch is covered as soon as it exists.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from airflow_provider_trackingmore.api.errors import (
    ActivationRequiredError,
    AuthenticationError,
    QuotaExceededError,
    TrackingMoreError,
    TrackingNotFoundError,
)
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus
from airflow_provider_trackingmore.api.reports import BatchReport
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.sandbox.switches import SWITCHES, Switch

TIME_SCALE = 1_000
LIMITS = ("rate_limit_form", "retry_after", "cool_down_refresh", "rate_tolerance", "realtime_limit")

DELIVERED = ShipmentKey("usps", "SBX-DELIVERED-2D-1")
IN_TRANSIT = ShipmentKey("china-post", "SBX-STUCK-1")
WITH_EXCEPTION = ShipmentKey("dhl", "SBX-EXCEPTION-2D-1")
PENDING = ShipmentKey("ups", "SBX-PENDING-1")
SEEDED = {DELIVERED, IN_TRANSIT, WITH_EXCEPTION, PENDING}
NOWHERE = ShipmentKey("usps", "NOWHERE1")


def positions_of(switch: Switch) -> tuple[str, ...]:
    if switch.values:
        return switch.values
    return tuple(dict.fromkeys(f"{number:g}" for number in (switch.minimum, float(switch.default) * 5 + 1)))


EACH_POSITION = [
    (name, value) for name, switch in SWITCHES.items() for value in positions_of(switch) if value != switch.default
]


def mixed(seed: int) -> dict[str, str]:
    rng = random.Random(seed)
    # If realtime is not activated, its other switches have no effect.
    return {
        name: rng.choice((*positions_of(switch), switch.default))
        for name, switch in SWITCHES.items()
        if name != "realtime_activated"
    }


@dataclass
class Scenario:
    hook: TrackingMoreHook
    sandbox: SandboxProcess
    positions: Mapping[str, str]

    def at(self, name: str, *values: str) -> bool:
        """Return whether a switch is at one of these positions; at some of them, responses contain less."""
        return self.positions.get(name, SWITCHES[name].default) in values


def body(key: ShipmentKey, **details: str) -> dict[str, str]:
    return {**key._asdict(), **details}


@pytest.fixture
def start(
    trackingmore_sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Mapping[str, str]], Scenario]]:
    """Start a scenario with these positions; its clock is stopped."""
    sandbox = trackingmore_sandbox
    connection = sandbox.connection
    connection["extra"] |= {
        "requests_per_second": 1_000,
        "realtime_requests_per_second": 3_000,
        "cool_down_seconds": 150 / TIME_SCALE,
        "max_attempts": 3,
    }
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))

    with TrackingMoreHook() as hook:

        def start(positions: Mapping[str, str]) -> Scenario:
            sandbox.set_time_scale(TIME_SCALE)
            sandbox.freeze()
            sandbox.switch(**positions)
            details = {"order_id": "ORDER-7", "customer_email": "buyer@shop.example"}
            shipments = [body(key) | {"age_hours": 24 * 20} for key in SEEDED - {DELIVERED}]
            sandbox.seed(shipments=[*shipments, body(DELIVERED, **details) | {"age_hours": 24 * 20}])
            return Scenario(hook, sandbox, positions)

        yield start


def rejected(report: BatchReport) -> list[ShipmentKey]:
    return [ShipmentKey(item.carrier_code, item.tracking_number) for item in report.rejected]


CHECKS: list[Callable[[Scenario], None]] = []


def check(function: Callable[[Scenario], None]) -> Callable[[Scenario], None]:
    CHECKS.append(function)
    return function


@pytest.mark.parametrize(("name", "value"), EACH_POSITION, ids=lambda part: part)
def test_the_hook_behaves_the_same_at_each_position(
    start: Callable[[Mapping[str, str]], Scenario], name: str, value: str
) -> None:
    assert CHECKS
    scenario = start({name: value})
    for check_scenario in CHECKS:
        check_scenario(scenario)


def test_the_hook_behaves_as_expected_with_all_defaults(start: Callable[[Mapping[str, str]], Scenario]) -> None:
    scenario = start({})
    for check_scenario in CHECKS:
        check_scenario(scenario)


@pytest.mark.parametrize("seed", range(8))
def test_the_hook_behaves_the_same_in_any_mix(start: Callable[[Mapping[str, str]], Scenario], seed: int) -> None:
    scenario = start(mixed(seed))
    for check_scenario in CHECKS:
        check_scenario(scenario)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in LIMITS for value in positions_of(SWITCHES[name])], ids=lambda x: x
)
def test_an_account_cools_down_after_a_429_and_then_continues(
    start: Callable[[Mapping[str, str]], Scenario], name: str, value: str
) -> None:
    scenario = start({name: value})
    scenario.sandbox.freeze(False)
    scenario.sandbox.fault("429", nth=2, cool_down=True)
    for _ in range(4):
        scenario.hook.get_account()
    for at in range(4):
        assert scenario.hook.realtime_tracking(body(ShipmentKey("dhl", f"SBX-STUCK-{at}"))).carrier_code == "dhl"
    assert scenario.sandbox.ledger()["rate_limited"] == 1
    if not scenario.at("retry_after", "present"):
        refused, *others = (call for call in scenario.sandbox.calls() if call["real"] >= at_the_429(scenario))
        assert others[0]["real"] - refused["real"] >= 120 / TIME_SCALE


def at_the_429(scenario: Scenario) -> float:
    return next(call["real"] for call in scenario.sandbox.calls() if call["code"] == 429)


# Checks at each position ----------------------------------------------------------------------------------------------


@check
def reading_one(scenario: Scenario) -> None:
    found = scenario.hook.get_tracking(*DELIVERED)
    assert found.key == DELIVERED
    assert found.status is ShipmentStatus.DELIVERED
    assert found.order_id == "ORDER-7"
    assert found.customer_emails == ("buyer@shop.example",)
    assert found.title is found.comment is found.customer_name is found.customer_phone is None
    assert found.archived is False
    assert found.updating in ((None,) if scenario.at("track_update", "absent") else (False,))
    assert found.substatus in (("delivered001", "delivered003") if scenario.at("substatus", "filled") else (None,))
    assert found.created_at is not None
    assert found.created_at.utcoffset() is not None
    age = datetime.fromtimestamp(scenario.sandbox.clock()["unix"], UTC) - found.created_at
    assert 19.9 < age.total_seconds() / 86_400 < 20.1
    assert found.updated_at is None or found.updated_at >= found.created_at
    assert found.delivered_at is not None
    assert found.delivered_at == found.last_update == found.checkpoints[0].time
    assert len(found.delivered_at) == len("2026-03-02T08:00:00")
    assert datetime.fromisoformat(found.delivered_at).tzinfo is None
    assert found.checkpoints[0].status is ShipmentStatus.DELIVERED
    assert [checkpoint.time for checkpoint in found.checkpoints] == sorted(
        (checkpoint.time or "" for checkpoint in found.checkpoints), reverse=True
    )


@check
def reading_others(scenario: Scenario) -> None:
    exception, pending = scenario.hook.get_tracking(*WITH_EXCEPTION), scenario.hook.get_tracking(*PENDING)
    assert exception.status is ShipmentStatus.EXCEPTION
    assert (exception.substatus or "exception").startswith("exception")
    assert exception.delivered_at is None
    assert pending.status is ShipmentStatus.PENDING
    assert pending.checkpoints == pending.customer_emails == ()
    assert pending.order_id is pending.last_update is None
    for lang in ("en", "cn"):
        assert scenario.hook.get_tracking(*IN_TRANSIT, lang).status is ShipmentStatus.TRANSIT
    with pytest.raises(TrackingNotFoundError, match="NOWHERE1"):
        scenario.hook.get_tracking(*NOWHERE)


@check
def listing(scenario: Scenario) -> None:
    hook = scenario.hook
    for page_size in (2000, 4, 2):
        keys = [found.key for found in hook.list_trackings(page_size=page_size)]
        assert set(keys) == SEEDED
        assert len(keys) == len(SEEDED)
    assert {found.key for found in hook.list_trackings(status="delivered")} == {DELIVERED}
    assert {found.key for found in hook.list_trackings(orders=["ORDER-7", "ORDER-8"])} == {DELIVERED}
    assert {found.key for found in hook.list_trackings(numbers=["SBX-STUCK-1"])} == {IN_TRANSIT}
    assert list(hook.list_trackings(status="undelivered")) == []
    assert list(hook.list_trackings(archived=True)) == []
    assert len(list(hook.list_trackings(archived=False))) == len(SEEDED)


@check
def looking_up(scenario: Scenario) -> None:
    found = scenario.hook.find_trackings([body(key) for key in (*SEEDED, NOWHERE, ShipmentKey("ups", DELIVERED[1]))])
    assert set(found) == SEEDED
    found_or_none = scenario.hook.look_up([DELIVERED, NOWHERE])
    assert found_or_none[DELIVERED] is not None
    assert found_or_none[NOWHERE] is None
    assert scenario.hook.find_trackings([body(NOWHERE)]) == {}


@check
def counting(scenario: Scenario) -> None:
    expected = dict.fromkeys((status for status in ShipmentStatus if status != "unknown"), 0)
    assert scenario.hook.count_by_status(created_at_min=scenario.sandbox.clock()["unix"] + 86_400) == expected
    expected |= {ShipmentStatus(status): 1 for status in ("delivered", "transit", "exception", "pending")}
    assert scenario.hook.count_by_status() == expected


@check
def creating_one(scenario: Scenario) -> None:
    new = ShipmentKey("gls", "SBX-PENDING-2")
    dates = {"tracking_ship_date": "2026-11-25", "order_create_time": "2026-11-25 9:30"}
    created = scenario.hook.create_tracking({**new._asdict(), "title": "A box", "order_id": 9, **dates})
    assert (created.key, created.created, created.status) == (new, True, ShipmentStatus.PENDING)
    assert (created.title, created.order_id, created.comment) == ("A box", "9", None)
    again = scenario.hook.create_tracking(body(DELIVERED))
    assert (again.key, again.created, again.status) == (DELIVERED, False, ShipmentStatus.DELIVERED)
    with pytest.raises(TrackingMoreError) as caught:
        scenario.hook.create_tracking(body(ShipmentKey("dhl", "SBX-REJECT-4014-1")))
    assert caught.value.code == 4014


@check
def creating_many(scenario: Scenario) -> None:
    new = [ShipmentKey("dpd", f"SBX-PENDING-{at}") for at in range(10, 13)]
    bad = [ShipmentKey("no-such-carrier", "NUMBER0001"), ShipmentKey("dhl", "SBX-REJECT-4032-1")]
    report = scenario.hook.create_trackings(
        [*map(body, [*new, DELIVERED, IN_TRANSIT, *bad, *new]), {"carrier_code": "dhl"}]
    )
    assert set(report.created) == set(new)
    assert set(report.existing) == {DELIVERED, IN_TRANSIT}
    assert {item.tracking_number: item.code for item in report.rejected} == {
        "NUMBER0001": 4015,
        "SBX-REJECT-4032-1": 4032,
        "": None,
    }
    assert report.duplicates == 3
    assert scenario.sandbox.ledger()["created_twice"] == []


@check
def the_account(scenario: Scenario) -> None:
    account = scenario.hook.get_account()
    assert account.quota_left == 100_000 - 4
    assert account.balance == 0
    assert account.email == "account-0@sandbox.example"
    assert (account.phone or "").lstrip("+") == "10005550000"
    assert account.registered_at is not None
    works, message = scenario.hook.test_connection()
    assert works
    assert message == "TrackingMore answered for a…@sandbox.example; quota left: 99996"


@check
def changing(scenario: Scenario) -> None:
    hook = scenario.hook
    changed = hook.update_tracking(*DELIVERED, title="Changed", archived=True)
    assert (changed.key, changed.title, changed.archived) == (DELIVERED, "Changed", True)
    assert {found.key for found in hook.list_trackings(archived=True)} == {DELIVERED}
    with pytest.raises(TrackingNotFoundError):
        hook.update_tracking(*NOWHERE, title="Changed")
    report = hook.update_trackings(
        [body(IN_TRANSIT, title="Both"), body(WITH_EXCEPTION, title="Both"), body(NOWHERE, title="")]
    )
    assert set(report.done) == {IN_TRANSIT, WITH_EXCEPTION}
    assert hook.get_tracking(*IN_TRANSIT).title == hook.get_tracking(*WITH_EXCEPTION).title == "Both"
    assert rejected(report) == [NOWHERE]
    for status in ("delivered", "exception"):
        hook.update_tracking(*PENDING, status=status)
        assert hook.get_tracking(*PENDING).status is ShipmentStatus(status)
    hook.update_tracking(*PENDING, status="restore")
    assert hook.get_tracking(*PENDING).status is ShipmentStatus.PENDING


@check
def changing_the_carrier(scenario: Scenario) -> None:
    wrong, right = (ShipmentKey(code, "SBX-PENDING-20") for code in ("gls", "dpd"))
    scenario.hook.create_tracking(body(wrong))
    for _ in range(2):
        scenario.hook.change_carrier(carrier_code="gls", tracking_number=wrong.tracking_number, new_carrier_code="dpd")
        assert set(scenario.hook.find_trackings([body(wrong), body(right)])) == {right}
    with pytest.raises(TrackingNotFoundError):
        scenario.hook.change_carrier(carrier_code="gls", tracking_number="NOWHERE1", new_carrier_code="dpd")
    assert scenario.hook.delete_tracking(*right)


@check
def stopping(scenario: Scenario) -> None:
    report = scenario.hook.stop_updates([body(IN_TRANSIT), body(NOWHERE)])
    assert report.done == (IN_TRANSIT,)
    assert rejected(report) == [NOWHERE]
    states = {state["tracking_number"]: state["track_update"] for state in scenario.sandbox.trackings()}
    assert states[IN_TRANSIT.tracking_number] is False


@check
def querying_the_carrier(scenario: Scenario) -> None:
    if scenario.at("realtime_activated", "false"):
        with pytest.raises(ActivationRequiredError, match="support"):
            scenario.hook.realtime_tracking(body(WITH_EXCEPTION))
        return
    found = scenario.hook.realtime_tracking(body(WITH_EXCEPTION))
    assert (found.key, found.status) == (WITH_EXCEPTION, ShipmentStatus.EXCEPTION)
    assert found.checkpoints
    with pytest.raises(TrackingMoreError, match="only once in 2 hours"):
        scenario.hook.realtime_tracking(body(WITH_EXCEPTION))
    stranger = ShipmentKey("royal-mail", "SBX-STUCK-9")
    assert scenario.hook.realtime_tracking(body(stranger)).key == stranger
    assert scenario.hook.delete_tracking(*stranger) is scenario.at("realtime_registers", "true")


@check
def deleting(scenario: Scenario) -> None:
    hook = scenario.hook
    assert hook.delete_tracking("gls", "SBX-PENDING-2") is True
    assert hook.delete_tracking("gls", "SBX-PENDING-2") is False
    gone = [ShipmentKey("dpd", f"SBX-PENDING-{at}") for at in range(10, 13)]
    report = hook.delete_trackings([body(key) for key in (*gone, NOWHERE)])
    assert set(gone) <= set(report.done)
    assert (NOWHERE in report.unchanged) is scenario.at("item_reports", "full")
    assert {*report.done, *report.unchanged} == {*gone, NOWHERE}
    assert report.rejected == ()
    assert hook.find_trackings(map(body, gone)) == {}
    assert hook.create_tracking(body(gone[0])).created is True
    assert hook.delete_tracking(*gone[0]) is True


@check
def carriers_lanes_and_places(scenario: Scenario) -> None:
    hook = scenario.hook
    carriers = {carrier.code: carrier for carrier in hook.list_carriers()}
    assert {"usps", "china-post", "dhl"} <= set(carriers)
    assert {carrier.type for carrier in carriers.values()} == {"express", "globalpost"}
    assert all((carrier.homepage or "http").startswith("http") and carrier.name for carrier in carriers.values())
    assert hook.detect_carrier("RN123456785CN")[0].code == "china-post"
    assert hook.detect_carrier("SBX-UNDETECTABLE-1") == []
    places = [{"country": "US", "postcode": "REMOTE-1", "company": "dhl"}, {"country": "US", "postcode": "CITY-1"}]
    areas = hook.check_remote_areas(places)
    remote = [area for area in areas if area.listed_as == "remote"]
    assert [(area.company, area.country_code, area.postcode) for area in remote] == [("dhl", "US", "REMOTE-1")]
    others = [] if scenario.at("remote_other", "empty") else ["CITY-1"]
    assert [area.postcode for area in areas if area.listed_as == "other"] == others
    (times,) = hook.get_transit_times([{"carrier_code": "usps", "original": "US", "destination": "DE"}])
    assert (times.carrier_code, times.original, times.destination) == ("usps", "US", "DE")
    assert times.total is not None
    assert times.delivered is not None
    assert times.total >= times.delivered > 0
    ranges = [times.days_0_7, times.days_7_15, times.days_16_30, times.days_31_60]
    assert sum(value or 0 for value in ranges) == pytest.approx(1, rel=0.01)


@check
def air_cargo(scenario: Scenario) -> None:
    found = scenario.hook.track_air_cargo(["172-28891937", "555-12345678"])
    assert set(found) == {"172-28891937"}
    assert found["172-28891937"].flights[0].flight_number
    assert found["172-28891937"].events
    assert scenario.hook.track_air_cargo(["555-12345678"]) == {}


@check
def one_429_on_the_way(scenario: Scenario) -> None:
    scenario.sandbox.fault("429", nth=2)
    for _ in range(3):
        assert scenario.hook.get_account().balance == 0
    calls = scenario.sandbox.calls("GET", "/trackings/getuserinfo")
    assert [call["code"] for call in calls][-4:] == [200, 429, 200, 200]


@check
def quota_that_runs_out(scenario: Scenario) -> None:
    scenario.sandbox.change_account(quota=2)
    new = [ShipmentKey("yanwen", f"SBX-PENDING-{at}") for at in range(30, 35)]
    report = scenario.hook.create_trackings(map(body, [*new, DELIVERED]))
    registered = {(found["carrier_code"], found["tracking_number"]) for found in scenario.sandbox.trackings()}
    assert {*report.created, *report.existing} == registered & {*new, DELIVERED}
    assert len(registered & {*new}) == (
        0 if scenario.at("batch_quota", "refuse") and not scenario.at("batch_max", "1") else 2
    )
    quota_code = 4019 if scenario.at("quota_code", "4019") else 4021
    assert {item.code for item in report.rejected} == {quota_code}
    assert len(report) == 6
    scenario.sandbox.change_account(quota=0)
    with pytest.raises(QuotaExceededError, match="top up"):
        scenario.hook.create_tracking(body(new[-1]))


@check
def a_wrong_key(scenario: Scenario) -> None:
    connection = scenario.sandbox.connection | {"password": "not-the-key-of-anybody"}
    with pytest.MonkeyPatch.context() as patch, TrackingMoreHook("trackingmore_wrong") as hook:
        patch.setenv("AIRFLOW_CONN_TRACKINGMORE_WRONG", json.dumps(connection))
        with pytest.raises(AuthenticationError, match="password field"):
            hook.get_account()
        assert hook.test_connection()[0] is False
