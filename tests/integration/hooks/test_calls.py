"""Each method makes its documented calls and no others, and none if an argument is invalid."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sandbox.process import SandboxProcess

ONE = {"carrier_code": "usps", "tracking_number": "SBX-STUCK-1"}
NEW = {"carrier_code": "usps", "tracking_number": "SBX-STUCK-2"}
PLACE = {"country": "US", "postcode": "10001"}
LANE = {"carrier_code": "usps", "original": "US", "destination": "DE"}

Use = Callable[[Any], object]

CALLS: list[tuple[str, Use, list[str]]] = [
    ("create_tracking", lambda hook: hook.create_tracking(NEW), ["POST /trackings/post"]),
    ("create_trackings", lambda hook: hook.create_trackings([NEW, ONE]), ["POST /trackings/batch"]),
    (
        "create_trackings",
        lambda hook: hook.create_trackings([NEW], quota_floor=1),
        ["GET /trackings/getuserinfo", "POST /trackings/batch"],
    ),
    ("check_quota", lambda hook: hook.check_quota(1, 1), ["GET /trackings/getuserinfo"]),
    ("get_tracking", lambda hook: hook.get_tracking("usps", "SBX-STUCK-1"), ["GET /trackings/usps/SBX-STUCK-1"]),
    (
        "get_tracking",
        lambda hook: hook.get_tracking("usps", "SBX-STUCK-1", "cn"),
        ["GET /trackings/usps/SBX-STUCK-1/cn"],
    ),
    ("list_trackings", lambda hook: list(hook.list_trackings()), ["GET /trackings/get"]),
    ("find_trackings", lambda hook: hook.find_trackings([ONE, NEW]), ["GET /trackings/get"]),
    ("shipment_source", lambda hook: hook.shipment_source(), []),
    ("stream_shipments", lambda hook: list(hook.stream_shipments()), ["GET /trackings/get"]),
    (
        "look_up",
        lambda hook: hook.look_up([ShipmentKey(**ONE), ShipmentKey(**NEW)]),
        ["GET /trackings/get", "GET /trackings/usps/SBX-STUCK-2"],
    ),
    (
        "update_tracking",
        lambda hook: hook.update_tracking("usps", "SBX-STUCK-1", title="T"),
        ["PUT /trackings/usps/SBX-STUCK-1"],
    ),
    ("update_trackings", lambda hook: hook.update_trackings([ONE | {"title": "T"}]), ["POST /trackings/updatemore"]),
    (
        "delete_tracking",
        lambda hook: hook.delete_tracking("usps", "SBX-STUCK-1"),
        ["DELETE /trackings/usps/SBX-STUCK-1"],
    ),
    ("delete_trackings", lambda hook: hook.delete_trackings([ONE, NEW]), ["POST /trackings/delete"]),
    ("realtime_tracking", lambda hook: hook.realtime_tracking(ONE), ["POST /trackings/realtime"]),
    ("realtime_trackings", lambda hook: hook.realtime_trackings([ONE, NEW]), ["POST /trackings/realtime"] * 2),
    (
        "change_carrier",
        lambda hook: hook.change_carrier(carrier_code="usps", tracking_number="SBX-STUCK-1", new_carrier_code="dhl"),
        ["POST /trackings/update"],
    ),
    ("stop_updates", lambda hook: hook.stop_updates([ONE]), ["POST /trackings/notupdate"]),
    ("count_by_status", lambda hook: hook.count_by_status(), ["GET /trackings/getstatusnumber"]),
    ("get_account", lambda hook: hook.get_account(), ["GET /trackings/getuserinfo"]),
    ("test_connection", lambda hook: hook.test_connection(), ["GET /trackings/getuserinfo"]),
    ("check_remote_areas", lambda hook: hook.check_remote_areas([PLACE]), ["POST /trackings/remote"]),
    ("get_transit_times", lambda hook: hook.get_transit_times([LANE]), ["POST /trackings/costtime"]),
    ("track_air_cargo", lambda hook: hook.track_air_cargo(["172-28891937"] * 3), ["POST /trackings/aircargo"]),
    ("list_carriers", lambda hook: hook.list_carriers("es"), ["GET /carriers"]),
    ("detect_carrier", lambda hook: hook.detect_carrier("RN123456785CN"), ["POST /carriers/detect"]),
]

BAD_IDENTITIES: list[dict[str, Any]] = [
    {"carrier_code": "usps", "tracking_number": ""},
    {"carrier_code": "usps", "tracking_number": "  "},
    {"carrier_code": "usps", "tracking_number": None},
    {"carrier_code": "usps", "tracking_number": 9400},
    {"carrier_code": "usps", "tracking_number": ".."},
    {"carrier_code": "usps", "tracking_number": "1\n2"},
    {"carrier_code": "usps", "tracking_number": "\ud83d"},
    {"carrier_code": "usps", "tracking_number": "9" * 201},
    {"carrier_code": "", "tracking_number": "9400"},
    {"carrier_code": None, "tracking_number": "9400"},
    {"carrier_code": 7, "tracking_number": "9400"},
    {"carrier_code": "us ps", "tracking_number": "9400"},
    {"carrier_code": "../carriers", "tracking_number": "9400"},
    {"carrier_code": 7, "tracking_number": ["9400"]},
]

SINGLE_SHIPMENT_CALLS: dict[str, Callable[[Any, Any, Any], object]] = {
    "create_tracking": lambda hook, code, number: hook.create_tracking(_shipment(code, number)),
    "get_tracking": lambda hook, code, number: hook.get_tracking(code, number),
    "find_trackings": lambda hook, code, number: hook.find_trackings([ONE, _shipment(code, number)]),
    "update_tracking": lambda hook, code, number: hook.update_tracking(code, number, title="T"),
    "delete_tracking": lambda hook, code, number: hook.delete_tracking(code, number),
    "realtime_tracking": lambda hook, code, number: hook.realtime_tracking(_shipment(code, number)),
    "change_carrier": lambda hook, code, number: hook.change_carrier(
        carrier_code=code, tracking_number=number, new_carrier_code="dhl"
    ),
}

INVALID_ARGUMENTS: list[tuple[str, Use, str]] = [
    (
        "get_tracking",
        lambda hook: hook.get_tracking("usps", "9400", ".."),
        r"lang must be two letters such as 'en', not '\.\.'",
    ),
    (
        "find_trackings",
        lambda hook: hook.find_trackings([ONE], "eng"),
        "lang must be two letters such as 'en', not 'eng'",
    ),
    ("list_trackings", lambda hook: hook.list_trackings(carrier="usps"), "unknown filter 'carrier'"),
    ("list_trackings", lambda hook: hook.list_trackings(page_size=2001), "from 1 to 2000"),
    ("list_trackings", lambda hook: hook.list_trackings(numbers=["1"] * 41), "up to 40"),
    (
        "list_trackings",
        lambda hook: hook.list_trackings(created_at_min="yesterday"),
        "created_at_min must be .* with a time zone",
    ),
    ("count_by_status", lambda hook: hook.count_by_status(status="transit"), "unknown filter 'status'"),
    ("update_tracking", lambda hook: hook.update_tracking("usps", "9400"), "nothing to change"),
    ("update_tracking", lambda hook: hook.update_tracking("usps", "9400", carrier_code2="x"), "cannot be changed"),
    ("update_tracking", lambda hook: hook.update_tracking("usps", "9400", status="lost"), "delivered, exception"),
    (
        "change_carrier",
        lambda hook: hook.change_carrier(carrier_code="usps", tracking_number="9400", new_carrier_code=""),
        "new_carrier_code is missing",
    ),
    ("check_remote_areas", lambda hook: hook.check_remote_areas([PLACE] * 50 + [{}]), "country, postcode is missing"),
    ("get_transit_times", lambda hook: hook.get_transit_times([LANE] * 50 + [{"original": "US"}]), "is missing"),
    ("track_air_cargo", lambda hook: hook.track_air_cargo(["172-28891937", "17-1"]), "not air waybills.*'17-1'"),
    (
        "track_air_cargo",
        lambda hook: hook.track_air_cargo(["172-28891937"], "eng"),
        "lang must be two letters such as 'en', not 'eng'",
    ),
    ("list_carriers", lambda hook: hook.list_carriers("fr"), "en, cn, tw, es, ru, it"),
    ("detect_carrier", lambda hook: hook.detect_carrier(" "), "tracking_number is missing"),
    ("create_trackings", lambda hook: hook.create_trackings("9400"), "not str"),
    ("create_trackings", lambda hook: hook.create_trackings(7), "not int"),
    ("update_trackings", lambda hook: hook.update_trackings("9400"), "not str"),
    ("delete_trackings", lambda hook: hook.delete_trackings("9400"), "not str"),
    ("stop_updates", lambda hook: hook.stop_updates("9400"), "not str"),
    ("find_trackings", lambda hook: hook.find_trackings("9400"), "not str"),
]


def _shipment(code: Any, number: Any) -> dict[str, Any]:
    return {"carrier_code": code, "tracking_number": number}


@pytest.mark.parametrize(("method", "use", "calls"), CALLS, ids=[method for method, _, _ in CALLS])
def test_each_method_makes_its_documented_calls(
    hook: TrackingMoreHook, sandbox: SandboxProcess, method: str, use: Use, calls: list[str]
) -> None:
    sandbox.seed(shipments=[ONE])
    use(hook)
    assert [f"{call['method']} {call['path']}" for call in sandbox.calls()] == calls


def test_every_method_of_the_hook_is_covered() -> None:
    own = {name for name, value in vars(TrackingMoreHook).items() if callable(value) and not name.startswith("_")}
    static = {name for name, value in vars(TrackingMoreHook).items() if isinstance(value, staticmethod)}
    assert own - static == {method for method, _, _ in CALLS}


@pytest.mark.parametrize("identity", BAD_IDENTITIES, ids=ascii)
@pytest.mark.parametrize("method", SINGLE_SHIPMENT_CALLS)
def test_an_invalid_identity_is_reported_before_any_call(
    hook: TrackingMoreHook, sandbox: SandboxProcess, method: str, identity: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        SINGLE_SHIPMENT_CALLS[method](hook, identity["carrier_code"], identity["tracking_number"])
    assert caught.value.message
    assert caught.value.message.isprintable()
    assert sandbox.ledger()["requests"] == 0


@pytest.mark.parametrize("method", ["create_trackings", "delete_trackings", "stop_updates", "realtime_trackings"])
def test_invalid_identities_in_a_batch_are_rejected_before_any_call(
    hook: TrackingMoreHook, sandbox: SandboxProcess, method: str
) -> None:
    report = getattr(hook, method)([*BAD_IDENTITIES, None, "text"])
    assert len(report.rejected) == len(report) == len(BAD_IDENTITIES) + 2
    assert {item.code for item in report.rejected} == {None}
    assert sandbox.ledger()["requests"] == 0


@pytest.mark.parametrize(
    ("method", "use", "message"),
    INVALID_ARGUMENTS,
    ids=[f"{method}: {message}" for method, _, message in INVALID_ARGUMENTS],
)
def test_any_other_invalid_argument_is_reported_before_any_call(
    hook: TrackingMoreHook, sandbox: SandboxProcess, method: str, use: Use, message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        use(hook)
    assert sandbox.ledger()["requests"] == 0


@pytest.mark.parametrize(
    "use",
    [
        lambda hook: hook.create_trackings([]),
        lambda hook: hook.create_trackings(None),
        lambda hook: hook.update_trackings([]),
        lambda hook: hook.delete_trackings([]),
        lambda hook: hook.stop_updates([]),
        lambda hook: hook.realtime_trackings([]),
        lambda hook: hook.find_trackings([]),
        lambda hook: hook.look_up([]),
        lambda hook: hook.check_remote_areas([]),
        lambda hook: hook.get_transit_times([]),
        lambda hook: hook.track_air_cargo([]),
    ],
)
def test_empty_input_makes_no_call(hook: TrackingMoreHook, sandbox: SandboxProcess, use: Use) -> None:
    assert len(use(hook)) == 0  # type: ignore[arg-type]
    assert sandbox.ledger()["requests"] == 0


def test_a_connection_that_works_names_its_account(hook: TrackingMoreHook) -> None:
    assert hook.test_connection() == (True, "TrackingMore answered for a…@sandbox.example; quota left: 100000")


@pytest.mark.parametrize(
    ("change", "message_part"),
    [
        ({"password": "not-a-known-key"}, "4001.*check the API key in the password field"),
        ({"host": "http://127.0.0.1:1/v2"}, "127.0.0.1:1"),
        ({"password": ""}, "no API key"),
        (
            {"extra": {"pacing": "memory", "max_attempts": 1, "proxies": {"http": "gopher://127.0.0.1:1"}}},
            "check the base URL .* and 'proxies' and 'verify' in its extra",
        ),
    ],
)
def test_a_connection_that_does_not_work_says_why(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message_part: str
) -> None:
    connection = sandbox.connection | {"extra": {"pacing": "memory", "max_attempts": 1}} | change
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", json.dumps(connection))
    works, message = TrackingMoreHook("broken").test_connection()
    assert not works
    assert re.search(message_part, message)
    assert "not-a-known-key" not in message


def test_a_key_that_is_deleted_midway_ends_the_call_at_once(hook: TrackingMoreHook, sandbox: SandboxProcess) -> None:
    sandbox.change_account(deleted=True)
    works, message = hook.test_connection()
    assert not works
    assert "400" in message
    assert sandbox.ledger()["requests"] == 1
