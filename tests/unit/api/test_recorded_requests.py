"""Each endpoint builds the request that was recorded, to the letter."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Repeat, Request
from airflow_provider_trackingmore.api.limits import DEFAULT_BASE_URL
from airflow_provider_trackingmore.api.shipments import CREATE_FIELDS, REALTIME_FIELDS, shipment_body
from airflow_provider_trackingmore.api.updates import changes_body

KEYS_ONLY = (
    {"tracking_number": "1Z5R89390357567127", "carrier_code": "ups", "title": "never sent here"},
    {"tracking_number": "WISH40227781", "carrier_code": "postnl-3s"},
)
LAMP = {
    "carrier_code": "dhl-germany",
    "tracking_number": "JJD000390007882536",
    "order_id": "SO-10511",
    "title": "desk lamp",
    "customer_name": "Ida Brandt",
    "customer_email": "orders@nordlys.example",
    "order_create_time": "2019/11/04 09:30",
    "destination_code": "AT",
    "tracking_ship_date": "20191104",
    "tracking_postal_code": "1070",
    "lang": "en",
    "logistics_channel": "web shop",
    "warehouse": "not a field of TrackingMore's",
}
CABLE = {
    "tracking_number": "CX473829110DE",
    "carrier_code": "deutsche-post",
    "title": "desk lamp",
    "order_id": "SO-10511",
}
JANUARY = {"created_at_min": 1546300800, "created_at_max": 1548979199}
CHANGES = {
    "title": "walnut shelf",
    "logistics_channel": "warehouse 2",
    "customer_name": "Tomasz",
    "customer_email": "orders@nordlys.example",
    "customer_phone": "+48220000003",
    "order_id": "ORD-77120",
    "destination_code": "PL",
    "archived": True,
    "status": "exception",
    "comment": None,
}
MORE_CHANGES = {
    "title": "desk lamp",
    "customer_name": "Ida Brandt",
    "customer_email": "orders@nordlys.example",
    "order_id": "SO-10511",
    "destination_code": "AT",
    "status": "7",
    "logistics_channel": "web shop",
}

CALLS: dict[str, Callable[[], Request[Any]]] = {
    "post_trackings_post": lambda: endpoints.create_tracking(shipment_body(LAMP, CREATE_FIELDS)),
    "get_trackings_carrier_number": lambda: endpoints.get_tracking("yunexpress", "YT2003410000551872"),
    "put_trackings_carrier_number": lambda: endpoints.update_tracking(
        "dpd-poland", "00340434161094015902", changes_body(CHANGES)
    ),
    "delete_trackings_carrier_number": lambda: endpoints.delete_tracking("ups", "1Z5R89390357567127"),
    "post_trackings_batch": lambda: endpoints.create_batch(
        [shipment_body(shipment, CREATE_FIELDS) for shipment in (LAMP, {**CABLE, "lang": "en"})]
    ),
    "get_trackings_get": lambda: endpoints.list_page({**JANUARY, "lang": "pl"}, limit=50),
    "post_trackings_updatemore": lambda: endpoints.update_batch(
        [{**shipment_body(shipment, ()), **MORE_CHANGES} for shipment in (LAMP, CABLE)]
    ),
    "post_trackings_delete": lambda: endpoints.delete_batch([shipment_body(shipment, ()) for shipment in KEYS_ONLY]),
    "post_trackings_realtime": lambda: endpoints.realtime_tracking(
        {"tracking_number": "RR907115226SE", "carrier_code": "sweden-posten"}
    ),
    "post_trackings_update": lambda: endpoints.change_carrier(
        carrier_code="deutsche-post", tracking_number="EB204918834DE", new_carrier_code="postnord"
    ),
    "get_trackings_getuserinfo": endpoints.get_account,
    "get_trackings_getstatusnumber": lambda: endpoints.count_by_status(JANUARY),
    "post_trackings_notupdate": lambda: endpoints.stop_updates(
        [
            {"tracking_number": "RX114402297FI", "carrier_code": "finland-posti"},
            {"tracking_number": "CX473829123DE", "carrier_code": "deutsche-post"},
        ]
    ),
    "post_trackings_remote": lambda: endpoints.check_remote_areas(
        [{"country": "Iceland", "postcode": "524"}, {"country": "NO", "postcode": " Hammerfest "}]
    ),
    "post_trackings_costtime": lambda: endpoints.get_transit_times(
        [
            {"carrier_code": "ups", "original": "DE", "destination": "CA"},
            {"carrier_code": "ups", "original": "DE", "destination": "BR", "remark": "never sent"},
        ]
    ),
    "post_trackings_aircargo": lambda: endpoints.track_air_cargo(["020-44718203", "020-44718203"], lang="en"),
    "get_carriers": endpoints.list_carriers,
    "post_carriers_detect": lambda: endpoints.detect_carrier("RL554120987AU"),
}


def assert_sends(request: Request[Any], recorded: dict[str, Any], url: str | None = None) -> None:
    assert request.method == recorded["method"]
    assert DEFAULT_BASE_URL + request.target == (url or recorded["url"])
    key = recorded["headers"]["Trackingmore-Api-Key"]
    every_call = {"Content-Type": "application/json", "Trackingmore-Api-Key": key}
    assert {**every_call, **request.headers} == recorded["headers"]
    sent = request.encoded_body()
    if "body" in recorded:
        assert sent is not None
        assert sent.isascii()
        assert json.loads(sent) == recorded["body"]
    else:
        assert sent is None


@pytest.mark.parametrize("name", CALLS)
def test_the_request_is_the_recorded_one(name: str, record: Callable[[str], Any]) -> None:
    assert_sends(CALLS[name](), record(name)["request"])


def test_all_eighteen_endpoints_are_recorded(record: Callable[[str], Any]) -> None:
    recorded = {(record(name)["request"]["method"], CALLS[name]().path) for name in CALLS}
    assert len(CALLS) == len(recorded) == 18


def test_a_language_is_a_suffix_of_the_path(record: Callable[[str], Any]) -> None:
    request = endpoints.get_tracking("yunexpress", "YT2003410000551872", lang="en")
    recorded = record("get_trackings_carrier_number")["request"]
    assert_sends(request, recorded, url=recorded["url_with_lang"])


@pytest.mark.parametrize("lang", ["", None])
def test_an_unset_language_leaves_no_suffix(lang: str | None) -> None:
    assert endpoints.get_tracking("ups", "1Z5R89390357567127", lang=lang).path == "/trackings/ups/1Z5R89390357567127"


def test_realtime_accepts_its_own_fields_only(record: Callable[[str], Any]) -> None:
    wanted = record("post_trackings_realtime")["body_all_fields"]
    given = {**wanted, "title": "desk lamp", "customer_name": "Ida Brandt"}
    request = endpoints.realtime_tracking(shipment_body(given, REALTIME_FIELDS))
    assert json.loads(request.encoded_body() or b"") == wanted


def test_an_update_of_one_field_sends_one_field(record: Callable[[str], Any]) -> None:
    wanted = record("post_trackings_updatemore")["body_minimal"]
    key = {"tracking_number": "RX114402297FI", "carrier_code": "finland-posti"}
    changes = changes_body({"title": "walnut shelf", "customer_name": "Tomasz"})
    assert endpoints.update_batch([{**key, **changes}]).body == wanted


def test_carriers_are_requested_in_every_documented_language(record: Callable[[str], Any]) -> None:
    for lang in record("get_carriers")["languages"]:
        assert endpoints.list_carriers(lang).headers == {"Lang": lang}


def test_air_cargo_without_a_language_sends_none() -> None:
    assert endpoints.track_air_cargo(["020-44718203"]).body == {"track_number": ["020-44718203"]}


def test_only_calls_that_cost_quota_each_time_are_not_retried_after_a_lost_response() -> None:
    costly = {name for name, call in CALLS.items() if call().repeat is Repeat.UNLESS_SENT}
    assert costly == {
        "post_trackings_realtime",
        "post_trackings_remote",
        "post_trackings_aircargo",
        "post_carriers_detect",
    }


def test_only_realtime_is_marked_as_such() -> None:
    assert [name for name, call in CALLS.items() if call().realtime] == ["post_trackings_realtime"]


def test_a_request_shows_neither_its_body_nor_personal_data() -> None:
    shown = repr(CALLS["post_trackings_post"]())
    assert "JJD000390007882536" in shown
    assert "Brandt" not in shown
    assert "nordlys" not in shown
