"""The operators for account, carriers, lanes, remote areas and air waybills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidArgumentError, TrackingMoreError
from airflow_provider_trackingmore.api.interruptions import LookupInterruptedError
from airflow_provider_trackingmore.exceptions import CarrierNotDecidedError
from airflow_provider_trackingmore.operators.account import GetAccountOperator
from airflow_provider_trackingmore.operators.air_cargo import TrackAirCargoOperator
from airflow_provider_trackingmore.operators.carriers import (
    DetectCarrierOperator,
    ListCarriersOperator,
    RemoteAreasOperator,
    TransitTimesOperator,
)
from airflow_provider_trackingmore.operators.trackings import CreateTrackingsOperator
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.operators.conftest import Execute, TaskInstance

CallCounts = Callable[[], dict[str, int]]
TWO_CANDIDATES, ONE_CANDIDATE, NO_CANDIDATE = "94001118992233445566", "1Z0E9W810312345678", "SBX-UNDETECTABLE-1"
DETECT, REMOTE, AIR, LANES = (
    "POST /carriers/detect",
    "POST /trackings/remote",
    "POST /trackings/aircargo",
    "POST /trackings/costtime",
)


# Account -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["flat", "plan"])
def test_the_account_has_its_quota_and_no_personal_data(
    sandbox: SandboxProcess, execute: Execute, call_counts: CallCounts, form: str
) -> None:
    sandbox.switch(userinfo_form=form)
    sandbox.change_account(0, quota=1234)
    account = execute(GetAccountOperator)
    assert (account["quota_left"], account["balance"]) == (1234, 0)
    assert account["registered_at"].endswith("+00:00")
    assert list(account) == ["quota_left", "balance", "registered_at"]
    assert call_counts() == {"GET /trackings/getuserinfo": 1}


def test_the_accounts_raw_record_is_returned_on_request(execute: Execute) -> None:
    assert "@" in execute(GetAccountOperator, include_raw="True")["raw"]["email"]


# Carriers ------------------------------------------------------------------------------------------------------------


def test_carriers_are_listed(execute: Execute, call_counts: CallCounts) -> None:
    carriers = execute(ListCarriersOperator)
    assert len(carriers) > 80
    assert {tuple(carrier) for carrier in carriers} == {("code", "name", "type", "phone", "homepage")}
    assert "usps" in [carrier["code"] for carrier in carriers]
    assert call_counts() == {"GET /carriers": 1}
    assert "raw" in execute(ListCarriersOperator, lang="None", include_raw=True)[0]


def test_an_unknown_language_is_refused_before_any_call(execute: Execute, call_counts: CallCounts) -> None:
    with pytest.raises(InvalidArgumentError, match="lang must be one of en, cn, tw, es, ru, it, not 'de'"):
        execute(ListCarriersOperator, lang="de")
    with pytest.raises(InvalidArgumentError, match="lang must be text, not 7"):
        execute(ListCarriersOperator, lang=7)
    assert call_counts() == {}


# Detecting -----------------------------------------------------------------------------------------------------------


def test_detection_returns_candidates_best_first_and_picks_none_by_default(
    sandbox: SandboxProcess, execute: Execute, call_counts: CallCounts
) -> None:
    result = execute(DetectCarrierOperator, tracking_numbers=[TWO_CANDIDATES, ONE_CANDIDATE, TWO_CANDIDATES])
    assert result == {
        "detected": [
            {
                "tracking_number": TWO_CANDIDATES,
                "candidates": [{"code": "usps", "name": "USPS"}, {"code": "dhlglobalmail", "name": "DHL ECommerce"}],
            },
            {"tracking_number": ONE_CANDIDATE, "candidates": [{"code": "ups", "name": "UPS"}]},
        ],
        "undetected": [],
    }
    assert call_counts() == {DETECT: 2}
    assert sandbox.ledger()["quota_charged"] == 0.4


@pytest.mark.parametrize(
    ("pick", "decided", "undecided"),
    [
        (None, {TWO_CANDIDATES: None, ONE_CANDIDATE: None}, [NO_CANDIDATE]),
        ("None", {TWO_CANDIDATES: None, ONE_CANDIDATE: None}, [NO_CANDIDATE]),
        ("first", {TWO_CANDIDATES: "usps", ONE_CANDIDATE: "ups"}, [NO_CANDIDATE]),
        ("only", {ONE_CANDIDATE: "ups"}, [TWO_CANDIDATES, NO_CANDIDATE]),
    ],
)
def test_pick_decides_which_numbers_are_detected(
    execute: Execute, ti: TaskInstance, pick: Any, decided: dict[str, str | None], undecided: list[str]
) -> None:
    arguments = {"tracking_numbers": [TWO_CANDIDATES, ONE_CANDIDATE, NO_CANDIDATE], "pick": pick}
    result = execute(DetectCarrierOperator, **arguments, on_undetected="report")
    assert {entry["tracking_number"]: entry.get("carrier_code") for entry in result["detected"]} == decided
    assert [entry["tracking_number"] for entry in result["undetected"]] == undecided
    assert not any("carrier_code" in entry for entry in result["undetected"])
    assert ti.pushed == {}
    with pytest.raises(CarrierNotDecidedError) as caught:
        execute(DetectCarrierOperator, **arguments)
    assert ti.pushed["return_value"] == result
    assert f"{NO_CANDIDATE}: no carrier found" in str(caught.value)
    assert (f"{TWO_CANDIDATES}: usps, dhlglobalmail" in str(caught.value)) == (pick == "only")


def test_a_single_number_need_not_be_a_list(execute: Execute) -> None:
    [one] = execute(DetectCarrierOperator, tracking_numbers=f" {ONE_CANDIDATE} ", pick="only")["detected"]
    assert (one["tracking_number"], one["carrier_code"]) == (ONE_CANDIDATE, "ups")


def test_detected_numbers_can_be_registered_as_they_are(execute: Execute) -> None:
    picked = execute(DetectCarrierOperator, tracking_numbers=[TWO_CANDIDATES], pick="first")["detected"]
    created = execute(CreateTrackingsOperator, shipments=picked)["created"]
    assert created == [{"carrier_code": "usps", "tracking_number": TWO_CANDIDATES}]


def test_candidates_that_cost_quota_are_pushed_when_a_later_call_fails(
    sandbox: SandboxProcess, execute: Execute, ti: TaskInstance
) -> None:
    sandbox.fault("expired_key", path="/carriers/detect", nth=2)
    with pytest.raises(TrackingMoreError, match="check the API key"):
        execute(DetectCarrierOperator, tracking_numbers=[ONE_CANDIDATE, TWO_CANDIDATES], pick="first")
    assert [carrier["carrier_code"] for carrier in ti.pushed["return_value"]["detected"]] == ["ups"]


def test_without_xcom_nothing_is_pushed(execute: Execute, ti: TaskInstance) -> None:
    with pytest.raises(CarrierNotDecidedError):
        execute(DetectCarrierOperator, tracking_numbers=[NO_CANDIDATE], do_xcom_push=False)
    assert ti.pushed == {}


# Lanes, remote areas -------------------------------------------------------------------------------------------------


def test_transit_times_of_lanes(execute: Execute, call_counts: CallCounts) -> None:
    lane = {"carrier_code": "usps", "original": "CN", "destination": "US"}
    [times] = execute(TransitTimesOperator, lanes=lane)
    assert list(times) == [
        *lane, "total", "delivered", "days_0_7", "days_7_15", "days_16_30", "days_31_60",
    ]  # fmt: skip
    assert lane.items() <= times.items()
    assert times["total"] >= times["delivered"] > 0
    lanes = [lane | {"destination": chr(a) + chr(b)} for a in range(65, 69) for b in range(65, 76)]
    assert len(execute(TransitTimesOperator, lanes=lanes, include_raw=True)) == 44
    assert call_counts() == {LANES: 2}


def test_remote_areas_are_marked_as_listed_by_the_carrier(
    sandbox: SandboxProcess, execute: Execute, call_counts: CallCounts
) -> None:
    places = [
        {"country": "US", "postcode": "REMOTE-1", "company": "ups"},
        {"country": "United States", "postcode": "CITY-1"},
    ]
    remote, other = execute(RemoteAreasOperator, places=places)
    assert remote == {
        "company": "ups", "country_code": "US", "country": "United States", "postcode": "REMOTE-1",
        "listed_as": "remote",
    }  # fmt: skip
    assert (other["postcode"], other["listed_as"]) == ("CITY-1", "other")
    assert call_counts() == {REMOTE: 1}
    assert sandbox.ledger()["quota_charged"] == 0.2


def test_remote_areas_that_cost_quota_are_pushed_when_a_later_call_fails(
    sandbox: SandboxProcess, execute: Execute, ti: TaskInstance, call_counts: CallCounts
) -> None:
    sandbox.fault("expired_key", path="/trackings/remote", nth=2)
    places = [{"country": "US", "postcode": f"REMOTE-{number}", "company": "ups"} for number in range(45)]
    with pytest.raises(LookupInterruptedError, match="check the API key") as caught:
        execute(RemoteAreasOperator, places=places)
    assert [area["postcode"] for area in ti.pushed["return_value"]] == [f"REMOTE-{number}" for number in range(40)]
    assert [area.postcode for area in caught.value.found] == [f"REMOTE-{number}" for number in range(40)]
    assert call_counts()[REMOTE] == 2


# Air waybills --------------------------------------------------------------------------------------------------------


def test_each_air_waybill_is_tracked_once(sandbox: SandboxProcess, execute: Execute, call_counts: CallCounts) -> None:
    waybills = ["172-31415926", "020-27182818", "172-31415926", "001-12345675"]
    found = execute(TrackAirCargoOperator, waybills=waybills)
    assert list(found) == waybills[:2], "the last one's airline is not known"
    assert list(found["172-31415926"]) == [
        "waybill", "origin", "destination", "pieces", "weight", "status_number", "airline", "track_url", "events",
        "flights",
    ]  # fmt: skip
    assert found["172-31415926"]["airline"] == "Cargolux"
    assert {"event", "station", "actual_date"} <= found["172-31415926"]["events"][0].keys()
    assert {"flight_number", "depart_time"} <= found["172-31415926"]["flights"][0].keys()
    assert call_counts() == {AIR: 1}
    assert sandbox.ledger()["quota_charged"] == 40
    raw = execute(TrackAirCargoOperator, waybills=waybills[0], include_raw="true")["172-31415926"]["raw"]
    assert "return_data" in raw


def test_a_waybill_in_two_spellings_is_paid_for_once(sandbox: SandboxProcess, execute: Execute) -> None:
    found = execute(TrackAirCargoOperator, waybills=["172-31415926", "17231415926", "172 31415926"])
    assert list(found) == ["172-31415926"]
    assert sandbox.ledger()["quota_charged"] == 20


def test_waybills_that_cost_quota_are_pushed_when_a_later_call_fails(
    sandbox: SandboxProcess, execute: Execute, ti: TaskInstance, call_counts: CallCounts
) -> None:
    sandbox.fault("expired_key", path="/trackings/aircargo", nth=2)
    waybills = [f"172-{31415926 + number}" for number in range(45)]
    with pytest.raises(TrackingMoreError, match="check the API key"):
        execute(TrackAirCargoOperator, waybills=waybills)
    assert list(ti.pushed["return_value"]) == waybills[:20]
    assert call_counts()[AIR] == 2
    assert sandbox.ledger()["quota_charged"] == 400


def test_air_cargo_is_not_retried_by_default() -> None:
    assert TrackAirCargoOperator(task_id="t", waybills=[]).retries == 0
    assert TrackAirCargoOperator(task_id="t", waybills=[], retries=2).retries == 2


# All of them ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "argument", "message"),
    [
        (DetectCarrierOperator, "tracking_numbers", "No numbers: nothing to do"),
        (TransitTimesOperator, "lanes", "No lanes: nothing to do"),
        (RemoteAreasOperator, "places", "No places: nothing to do"),
        (TrackAirCargoOperator, "waybills", "No waybills: nothing to do"),
    ],
)
@pytest.mark.parametrize("nothing", [[], (), None, iter([])], ids=["list", "tuple", "None", "iterator"])
def test_empty_input_succeeds_without_a_call(
    execute: Execute,
    call_counts: CallCounts,
    logged: Callable[[], list[str]],
    operator: type,
    argument: str,
    message: str,
    nothing: Any,
) -> None:
    quota = {} if operator is TransitTimesOperator else {"quota_floor": 1_000_000}
    result = execute(operator, **{argument: nothing}, **quota)
    assert not any(result.values() if isinstance(result, dict) else result)
    assert f"INFO {message}" in logged()
    assert call_counts() == {}


@pytest.mark.parametrize(
    ("operator", "arguments", "message"),
    [
        (DetectCarrierOperator, {"tracking_numbers": 9400}, "tracking_numbers must be a list of texts, not 9400"),
        (DetectCarrierOperator, {"tracking_numbers": [9400]}, "tracking_number must be text, not int 9400"),
        (
            DetectCarrierOperator,
            {"tracking_numbers": "['A', 'B']"},
            "tracking_numbers .* render_template_as_native_obj",
        ),
        (DetectCarrierOperator, {"tracking_numbers": {"a": 1}}, "tracking_numbers must be a list of texts, not dict"),
        (
            DetectCarrierOperator,
            {"tracking_numbers": "A", "pick": "best"},
            "pick must be 'first' or 'only', not 'best'",
        ),
        (
            DetectCarrierOperator,
            {"tracking_numbers": "A", "on_undetected": "skip"},
            "on_undetected must be 'fail' or 'report', not 'skip'",
        ),
        (TransitTimesOperator, {"lanes": "[{}]"}, "lanes must be a list of mappings, not text .*native_obj"),
        (TransitTimesOperator, {"lanes": 3}, "lanes must be a list of mappings, not 3"),
        (TransitTimesOperator, {"lanes": [{"carrier_code": "usps"}]}, "a lane is .* original, destination is missing"),
        (RemoteAreasOperator, {"places": "Oban"}, "places must be a list of mappings, not text"),
        (RemoteAreasOperator, {"places": ["Oban"]}, "a place is a mapping with country, postcode"),
        (TrackAirCargoOperator, {"waybills": ["172"]}, "not air waybills .*: '172'"),
        (TrackAirCargoOperator, {"waybills": 172}, "waybills must be a list of texts, not 172"),
        (TrackAirCargoOperator, {"waybills": "['172-31415926']"}, "waybills .* render_template_as_native_obj"),
        (TrackAirCargoOperator, {"waybills": ["172-31415926"], "lang": 5}, "lang must be text, not 5"),
        (
            TrackAirCargoOperator,
            {"waybills": ["172-31415926"], "lang": "eng"},
            "lang must be two letters such as 'en', not 'eng'",
        ),
        (GetAccountOperator, {"include_raw": "yes"}, "include_raw must be True or False, not 'yes'"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else getattr(value, "__name__", ""),
)
def test_an_invalid_argument_is_named_before_any_call(
    execute: Execute, call_counts: CallCounts, operator: type, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        execute(operator, **arguments)
    assert call_counts() == {}
