"""Values are sent to TrackingMore in the documented forms, and all forms of its responses mean the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidArgumentError, QuotaExceededError
from airflow_provider_trackingmore.api.interruptions import LookupInterruptedError
from airflow_provider_trackingmore.api.models import ShipmentStatus
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sandbox.process import SandboxProcess

ONE = {"carrier_code": "usps", "tracking_number": "SBX-PENDING-1"}
Register = Callable[[TrackingMoreHook, dict[str, Any]], object]
REGISTERING: dict[str, Register] = {
    "create_tracking": lambda hook, shipment: hook.create_tracking(shipment),
    "create_trackings": lambda hook, shipment: hook.create_trackings([shipment]),
}


def details(sandbox: SandboxProcess) -> dict[str, str]:
    (registered,) = sandbox.trackings()
    kept: dict[str, str] = registered["details"]
    return kept


# Registering ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("register", REGISTERING.values(), ids=REGISTERING)
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"tracking_ship_date": "2026-11-25"}, {"tracking_ship_date": "20261125"}),
        ({"tracking_ship_date": date(2026, 11, 25)}, {"tracking_ship_date": "20261125"}),
        ({"tracking_ship_date": "2026-11-25T23:30:00-05:00"}, {"tracking_ship_date": "20261125"}),
        ({"tracking_ship_date": 20261125}, {"tracking_ship_date": "20261125"}),
        ({"order_create_time": "2026-11-25T23:30:00-05:00"}, {"order_create_time": "2026/11/26 04:30"}),
        (
            {"order_create_time": datetime(2026, 11, 25, 2, tzinfo=timezone(timedelta(hours=8)))},
            {"order_create_time": "2026/11/24 18:00"},
        ),
        ({"order_create_time": "2018-05-20 12:00"}, {"order_create_time": "2018/05/20 12:00"}),
        ({"order_id": 5, "tracking_postal_code": 1070}, {"order_id": "5", "tracking_postal_code": "1070"}),
        ({"order_id": 5.0, "auto_correct": True}, {"order_id": "5"}),
        ({"tracking_ship_date": "None", "order_create_time": " ", "title": None}, {}),
    ],
    ids=lambda part: ascii(part)[:60],
)
def test_dates_and_numbers_are_sent_as_documented(
    hook: TrackingMoreHook, sandbox: SandboxProcess, register: Register, given: dict[str, Any], sent: dict[str, str]
) -> None:
    sandbox.switch(field_forms="documented")
    register(hook, ONE | given)
    assert details(sandbox) == sent


def test_an_order_time_and_the_filter_for_it_mean_the_same_time(
    hook: TrackingMoreHook, sandbox: SandboxProcess
) -> None:
    moment = datetime(2026, 11, 25, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    hook.create_trackings([ONE | {"order_create_time": moment.isoformat()}])
    inside: Any = {"order_created_time_min": moment, "order_created_time_max": moment.isoformat()}
    assert [found.tracking_number for found in hook.list_trackings(**inside)] == [ONE["tracking_number"]]
    assert hook.count_by_status(**inside)[ShipmentStatus.PENDING] == 1
    assert list(hook.list_trackings(order_created_time_min=moment + timedelta(minutes=1))) == []


def test_changed_numbers_are_sent_as_text(hook: TrackingMoreHook, sandbox: SandboxProcess) -> None:
    sandbox.seed(shipments=[ONE])
    assert hook.update_tracking(**ONE, order_id=5).order_id == "5"
    assert hook.update_trackings([ONE | {"order_id": 6.0, "archived": True}]).rejected == ()
    (found,) = hook.list_trackings(orders=[6], archived=True)
    assert found.order_id == "6"


def test_an_invalid_date_is_refused_before_any_call_and_does_not_affect_other_shipments(
    hook: TrackingMoreHook, sandbox: SandboxProcess
) -> None:
    with pytest.raises(InvalidArgumentError, match="usps SBX-PENDING-1: tracking_ship_date 'soon' is not a date"):
        hook.create_tracking(ONE | {"tracking_ship_date": "soon"})
    assert sandbox.ledger()["requests"] == 0
    other = ONE | {"tracking_number": "SBX-PENDING-2"}
    report = hook.create_trackings([ONE | {"order_create_time": "25.11.2026"}, other])
    assert [item.tracking_number for item in report.rejected] == ["SBX-PENDING-1"]
    assert [entry.tracking_number for entry in report.created] == ["SBX-PENDING-2"]


@pytest.mark.parametrize("blank", ["", "None"])
def test_blank_templates_do_not_filter(hook: TrackingMoreHook, sandbox: SandboxProcess, blank: Any) -> None:
    sandbox.seed(shipments=[ONE])
    names = ("status", "lang", "numbers", "orders", "archived", "created_at_min", "update_time_max")
    assert len(list(hook.list_trackings(**dict.fromkeys(names, blank)))) == 1
    assert sum(hook.count_by_status(created_at_min=blank, order_created_time_max=blank).values()) == 1
    for call in sandbox.calls():
        assert set(call["query"] or {}) <= {"page", "limit"}


# Fields that are not sent -------------------------------------------------------------------------------------------


CALLS: dict[str, Register] = REGISTERING | {
    "realtime_tracking": lambda hook, shipment: hook.realtime_tracking(shipment),
    "realtime_trackings": lambda hook, shipment: hook.realtime_trackings([shipment]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_field_that_is_not_sent_is_named(
    hook: TrackingMoreHook, caplog: pytest.LogCaptureFixture, call: Register
) -> None:
    with caplog.at_level(logging.WARNING):
        call(hook, ONE | {"wharehouse": "Ida Brandt", "comment": "x"})
    assert [text for text in caplog.messages if "fields" in text] == [
        "Ignored fields, which this endpoint does not accept: 'wharehouse'"
    ]


@pytest.mark.parametrize("method", ["realtime_tracking", "realtime_trackings"])
@pytest.mark.parametrize(
    "given",
    [
        {"order_id": 123, "tracking_destination_country": "UK"},
        {"order": "123", "specialNumberDestination": "UK"},
    ],
    ids=["names of create", "names of realtime"],
)
def test_realtime_gets_the_order_and_the_destination_country_by_its_own_names(
    hook: TrackingMoreHook,
    sandbox: SandboxProcess,
    caplog: pytest.LogCaptureFixture,
    method: str,
    given: dict[str, Any],
) -> None:
    sandbox.switch(realtime_registers="true")
    with caplog.at_level(logging.WARNING):
        CALLS[method](hook, ONE | given)
    assert details(sandbox) == {"order_id": "123", "tracking_destination_country": "UK"}
    assert [text for text in caplog.messages if "fields" in text] == []
    (call,) = sandbox.calls("POST", "/trackings/realtime")
    assert call["body"]["fields"] == ["carrier_code", "order", "specialNumberDestination", "tracking_number"]


# Responses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["list", "items"])
@pytest.mark.parametrize("ranges", ["share", "percent", "percent-sign"])
def test_transit_times_are_shares_in_every_form(
    hook: TrackingMoreHook, sandbox: SandboxProcess, form: str, ranges: str
) -> None:
    lanes = [{"carrier_code": code, "original": "CN", "destination": "US"} for code in ("usps", "dhl", "ups")]
    (expected, *_) = hook.get_transit_times(lanes)
    sandbox.switch(costtime_form=form, costtime_ranges=ranges)
    times = hook.get_transit_times(lanes)
    assert [lane.carrier_code for lane in times] == ["usps", "dhl", "ups"]
    assert times[0].days_0_7 == pytest.approx(expected.days_0_7, abs=1e-4)
    for transit in times:
        shares = [transit.days_0_7, transit.days_7_15, transit.days_16_30, transit.days_31_60]
        assert all(share is not None and 0 <= share <= 1 for share in shares)
        assert sum(share or 0 for share in shares) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("form", ["question", "answer", "empty"])
def test_places_that_are_not_remote_are_kept_as_others(
    hook: TrackingMoreHook, sandbox: SandboxProcess, form: str
) -> None:
    sandbox.switch(remote_other=form)
    places = [
        {"country": "US", "postcode": "REMOTE-1", "company": "UPS"},
        {"country": "US", "postcode": "REMOTE-2", "company": "dpd"},
        {"country": "US", "postcode": 10001, "company": "CITY"},
    ]
    areas = hook.check_remote_areas(places[:2])
    assert [(area.company, area.postcode) for area in areas if area.listed_as == "remote"] == [("ups", "REMOTE-1")]
    others = [area.postcode for area in areas if area.listed_as == "other"]
    assert others == ([] if form == "empty" else ["REMOTE-2"])
    hook.check_remote_areas(places[2:])
    assert sandbox.calls("POST", "/trackings/remote")[-1]["code"] == 200


@pytest.mark.parametrize(("most", "calls"), [("20", 3), ("10", 6), ("101", 3)])
def test_air_waybills_are_split_until_the_vendor_accepts_them(
    hook: TrackingMoreHook, sandbox: SandboxProcess, most: str, calls: int
) -> None:
    sandbox.switch(waybill_max=most)
    waybills = [f"172-{31415926 + number}" for number in range(45)]
    assert list(hook.track_air_cargo(waybills)) == waybills
    assert len(sandbox.calls("POST", "/trackings/aircargo")) == calls
    assert sandbox.ledger()["quota_charged"] == 45 * 20


def test_places_and_lanes_are_split_too(hook: TrackingMoreHook, sandbox: SandboxProcess) -> None:
    sandbox.switch(batch_max="15")
    places = [{"country": "US", "postcode": f"REMOTE-{number}", "company": "ups"} for number in range(45)]
    assert [area.postcode for area in hook.check_remote_areas(places)] == [place["postcode"] for place in places]
    lanes = [{"carrier_code": "usps", "original": "US", "destination": chr(65 + at % 26) * 2} for at in range(45)]
    assert len(hook.get_transit_times(lanes)) == 45
    assert [call["code"] for call in sandbox.calls("POST", "/trackings/remote")] == [4020, 4020, *[200] * 5]


def test_paid_results_are_kept_if_the_quota_runs_out_after_a_split(
    hook: TrackingMoreHook, sandbox: SandboxProcess
) -> None:
    sandbox.switch(waybill_max="10")
    sandbox.change_account(quota=500)
    with pytest.raises(LookupInterruptedError) as caught:
        hook.track_air_cargo([f"172-{31415926 + number}" for number in range(40)])
    assert isinstance(caught.value.cause, QuotaExceededError)
    assert len(caught.value.found) == 20
    assert sandbox.ledger()["quota_charged"] == 400


# Checkpoints ---------------------------------------------------------------------------------------------------------


ABROAD = {"carrier_code": "china-post", "tracking_number": "SBX-DELIVERED-2D-1", "destination_code": "DE"}


@pytest.mark.parametrize("substatus", ["filled", "rarely"])
@pytest.mark.parametrize("overlap", ["none", "handover"])
def test_an_event_that_both_legs_report_counts_once(
    hook: TrackingMoreHook, sandbox: SandboxProcess, overlap: str, substatus: str
) -> None:
    sandbox.switch(leg_overlap=overlap, substatus=substatus)
    sandbox.seed(shipments=[ABROAD | {"age_hours": 240}])
    tracking = hook.get_tracking(ABROAD["carrier_code"], ABROAD["tracking_number"])
    sent = [row for leg in ("origin_info", "destination_info") for row in tracking.raw[leg]["trackinfo"] or ()]
    assert len(sent) == 8 + (overlap == "handover")
    assert len(tracking.checkpoints) == 8
    assert len({point.time for point in tracking.checkpoints}) == 8
    handover = next(point for point in tracking.checkpoints if point.description == "Handed over to airline")
    assert handover.item_node == "DepartfromAirport"
    expected = ("transit007", 7) if substatus == "filled" else (None, None)
    assert (handover.substatus, handover.substatus_number) == expected


@pytest.mark.parametrize("journey", ["DELIVERED", "PROOF", "LATEEVENT", "REOPEN"])
def test_delivered_at_is_the_last_delivery_and_no_later_scan(
    hook: TrackingMoreHook, sandbox: SandboxProcess, journey: str
) -> None:
    number = f"SBX-{journey}-2D-1"
    sandbox.seed(shipments=[ONE | {"tracking_number": number, "age_hours": 240}])
    tracking = hook.get_tracking("usps", number)
    deliveries = [point.time for point in tracking.checkpoints if point.status is ShipmentStatus.DELIVERED]
    assert len(deliveries) == (2 if journey in ("PROOF", "REOPEN") else 1)
    assert tracking.delivered_at == (deliveries[0] if journey == "REOPEN" else deliveries[-1])
