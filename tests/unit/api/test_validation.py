"""Filters, changes, places, lanes and waybills are converted to the vendor's form, or refused with a hint."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.filters import CountFilters, ListFilters, filter_query
from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS, PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus
from airflow_provider_trackingmore.api.shipments import check_shipments
from airflow_provider_trackingmore.api.updates import TEXT_FIELDS, changes_body, check_changes
from airflow_provider_trackingmore.api.validation import check_mapping, check_waybills

NEW_YEAR = 1546300800


def type_name(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"created_at_min": NEW_YEAR}, {"created_at_min": "1546300800"}),
        ({"created_at_max": float(NEW_YEAR) + 0.9}, {"created_at_max": "1546300800"}),
        ({"update_time_min": str(NEW_YEAR)}, {"update_time_min": "1546300800"}),
        ({"update_time_max": datetime(2019, 1, 1, tzinfo=UTC)}, {"update_time_max": "1546300800"}),
        (
            {"order_created_time_min": datetime(2019, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))},
            {"order_created_time_min": "1546300800"},
        ),
        ({"created_at_min": 0}, {"created_at_min": "0"}),
        ({"status": ShipmentStatus.PICKUP, "lang": "pl"}, {"status": "pickup", "lang": "pl"}),
        ({"status": "inforeceived"}, {"status": "inforeceived"}),
        ({"numbers": ["A1", "B 2"], "orders": ("SO-1",)}, {"numbers": "A1,B 2", "orders": "SO-1"}),
        ({"numbers": "A1"}, {"numbers": "A1"}),
        ({"numbers": [" A1\n"]}, {"numbers": "A1"}),
        ({"archived": True}, {"archived": "true"}),
        ({"archived": "false"}, {"archived": "false"}),
        ({"archived": None, "status": None, "numbers": None}, {}),
        ({"created_at_min": " 1546300800.0 "}, {"created_at_min": "1546300800"}),
        ({"created_at_min": "2019-01-01 08:00:00+08:00"}, {"created_at_min": "1546300800"}),
        ({"update_time_min": "2018-12-31T19:00:00-05:00"}, {"update_time_min": "1546300800"}),
        ({"orders": [5, "SO-1"]}, {"orders": "5,SO-1"}),
        ({"orders": 5}, {"orders": "5"}),
        ({"status": " delivered "}, {"status": "delivered"}),
        ({"numbers": ["None", "none"]}, {"numbers": "None,none"}),
    ],
)
def test_filters_are_sent_in_the_vendors_form(given: dict[str, Any], sent: dict[str, str]) -> None:
    assert filter_query(given) == sent


@pytest.mark.parametrize("template", ["", "  ", "None", "none", " None\n"])
@pytest.mark.parametrize("name", sorted(ListFilters.__optional_keys__))
def test_a_blank_template_is_not_a_filter(name: str, template: str) -> None:
    filters: Any = {name: template, "created_at_min" if name == "status" else "status": "1546300800"}
    assert name not in filter_query(filters)
    assert len(filter_query(filters)) == 1
    assert name not in endpoints.list_page(filters).query
    if name in CountFilters.__optional_keys__:
        assert endpoints.count_by_status({name: template}).query == {}  # type: ignore[misc]


def test_the_query_is_encoded_and_keeps_its_commas() -> None:
    request = endpoints.list_page({"numbers": ["A&1", "B#2", "C 3", "D+4", "ä"], "status": "transit"}, page=3, limit=9)
    assert request.target == ("/trackings/get?page=3&limit=9&numbers=A%261,B%232,C+3,D%2B4,%C3%A4&status=transit")


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"carrier": "ups"}, "unknown filter 'carrier'; available: archived, created_at_max"),
        ({7: "ups"}, "unknown filter 7"),
        (
            {"created_at_min": datetime.fromisoformat("2019-01-01")},
            "created_at_min must be Unix seconds, or a datetime",
        ),
        ({"created_at_min": date(2019, 1, 1)}, "created_at_min must be Unix seconds"),
        ({"created_at_min": "2019-01-01"}, "created_at_min must be Unix seconds"),
        ({"created_at_min": True}, "created_at_min must be Unix seconds"),
        ({"created_at_min": -1}, "created_at_min must be Unix seconds"),
        ({"created_at_min": NEW_YEAR * 1000}, "created_at_min must be Unix seconds"),
        ({"created_at_min": float("nan")}, "created_at_min must be Unix seconds"),
        ({"created_at_min": float("inf")}, "created_at_min must be Unix seconds"),
        ({"created_at_min": "²"}, "created_at_min must be Unix seconds"),
        ({"created_at_min": "9" * 5000}, "created_at_min must be Unix seconds"),
        ({"created_at_min": 10**5000}, "created_at_min must be Unix seconds"),
        ({"created_at_min": [NEW_YEAR]}, "created_at_min must be Unix seconds"),
        ({"numbers": []}, "numbers must be a list of texts that are neither blank nor contain a comma"),
        ({"orders": [True]}, "orders must be a list of texts"),
        ({"orders": [5.5]}, "orders must be a list of texts"),
        ({"numbers": [""]}, "numbers must be a list of texts"),
        ({"numbers": ["A1", " "]}, "numbers must be a list of texts"),
        ({"numbers": ["A,1"]}, "numbers must be a list of texts"),
        ({"numbers": [1]}, "numbers must be a list of texts"),
        ({"numbers": b"A1"}, "numbers must be a list of texts"),
        ({"numbers": {"A1"}}, "numbers must be a list of texts"),
        ({"numbers": ["A\udce4"]}, "numbers must be a list of texts"),
        ({"orders": ["x"] * (FILTER_NUMBERS + 1)}, "orders accepts up to 40 entries, not 41: use several requests"),
        ({"archived": "yes"}, "archived must be True or False, not 'yes'"),
        ({"archived": []}, "archived must be True or False"),
        ({"status": 4}, "status must be text, not int"),
        ({"status": ["transit"]}, "status must be text, not list"),
        ({"lang": "\ud800"}, "lang must be two letters such as 'en', not "),
        ({"lang": "eng"}, "lang must be two letters such as 'en', not 'eng'"),
        ({"lang": "é1"}, "lang must be two letters"),
        ({"lang": ["en"]}, "lang must be two letters such as 'en', not list"),
    ],
    ids=lambda value: ascii(value[:40]) if isinstance(value, str) else next(iter(map(str, value)), ""),
)
def test_an_invalid_filter_is_named(filters: dict[Any, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        endpoints.list_page(filters)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert len(caught.value.message) < 400


def test_the_counters_accept_fewer_filters() -> None:
    with pytest.raises(
        InvalidArgumentError, match="unknown filter 'status'; available: created_at_max, created_at_min"
    ):
        endpoints.count_by_status({"status": "transit"})  # type: ignore[typeddict-unknown-key]


def test_every_documented_filter_is_accepted() -> None:
    assert CountFilters.__optional_keys__ < ListFilters.__optional_keys__
    assert ListFilters.__optional_keys__ == {
        "status", "lang", "numbers", "orders", "archived", "created_at_min", "created_at_max", "update_time_min",
        "update_time_max", "order_created_time_min", "order_created_time_max",
    }  # fmt: skip


@pytest.mark.parametrize(("page", "limit"), [(0, 100), (-1, 100), (1, 0), (1, PAGE_SIZE + 1)])
def test_a_page_outside_the_limits_is_refused(page: int, limit: int) -> None:
    with pytest.raises(InvalidArgumentError, match="must be"):
        endpoints.list_page(page=page, limit=limit)


@pytest.mark.parametrize("lang", ["de", "", "EN", None, ["en"]])
def test_carriers_are_listed_in_six_languages_only(lang: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="lang must be one of en, cn, tw, es, ru, it"):
        endpoints.list_carriers(lang)


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({"title": "desk lamp", "comment": None}, {"title": "desk lamp"}),
        ({"order_id": 17}, {"order_id": "17"}),
        ({"archived": True}, {"archived": "true"}),
        ({"archived": False}, {"archived": "false"}),
        ({"archived": "true"}, {"archived": "true"}),
        ({"archived": "True"}, {"archived": "true"}),
        ({"archived": 1}, {"archived": "true"}),
        ({"status": "delivered"}, {"status": 4}),
        ({"status": "exception"}, {"status": 7}),
        ({"status": "restore"}, {"status": 8}),
        ({"status": 7}, {"status": 7}),
        ({"status": "7"}, {"status": 7}),
        ({"status": ShipmentStatus.DELIVERED}, {"status": 4}),
    ],
)
def test_changes_are_sent_in_the_vendors_form(changes: dict[str, Any], sent: dict[str, Any]) -> None:
    assert changes_body(changes) == sent
    assert [type(value) for value in changes_body(changes).values()] == [type(value) for value in sent.values()]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "nothing to change: pass at least one field"),
        ({"title": None}, "nothing to change: pass at least one field"),
        ({"comment": "x"}, "'comment' cannot be changed; fields that can be: title, logistics_channel"),
        ({"archived": "yes"}, "archived must be True or False, not 'yes'"),
        ({"archived": 2}, "archived must be True or False, not 2"),
        ({"archived": []}, "archived must be True or False"),
        ({"archived": 10**5000}, "archived must be True or False"),
        ({"status": "transit"}, "status can only be set to delivered, exception, restore, not 'transit'"),
        ({"status": 5}, "status can only be set to delivered, exception, restore, not 5"),
        ({"status": 4.0}, "status can only be set to"),
        ({"status": "²"}, "status can only be set to"),
        ({"status": "9" * 5000}, "status can only be set to"),
        ({"status": 10**5000}, "status can only be set to"),
        ({"status": ["delivered"]}, "status can only be set to"),
        ({"title": ["x"]}, "title must be text, not list"),
        ({"order_id": float("nan")}, "order_id is not a number that can be sent"),
        ({"order_id": 10**5000}, "order_id is not a number that can be sent"),
        ({"customer_name": "Br\udce4ndt"}, "customer_name contains broken characters"),
    ],
    ids=lambda value: ascii(value[:40]) if isinstance(value, str) else next(iter(value), "nothing"),
)
def test_an_invalid_change_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        changes_body(changes)
    assert message in str(caught.value)
    assert len(caught.value.message) < 300


def test_an_invalid_change_does_not_affect_other_shipments() -> None:
    rows = [
        {"tracking_number": "1", "carrier_code": "ups", "status": "delivered"},
        {"tracking_number": "2", "carrier_code": "ups", "status": "lost"},
        {"tracking_number": "3", "carrier_code": "ups"},
        {"tracking_number": "4", "carrier_code": "ups", "archived": True, "title": "desk lamp"},
        {"carrier_code": "ups"},
        {"tracking_number": "1", "carrier_code": "ups"},
    ]
    checked = check_changes(check_shipments(rows, (*TEXT_FIELDS, "archived", "status")))
    assert checked.bodies == {
        ShipmentKey("ups", "1"): {"tracking_number": "1", "carrier_code": "ups", "status": 4},
        ShipmentKey("ups", "4"): {
            "tracking_number": "4", "carrier_code": "ups", "archived": "true", "title": "desk lamp",
        },
    }  # fmt: skip
    assert [(rejection.tracking_number, rejection.message[:30]) for rejection in checked.rejected] == [
        ("", "shipment 5: tracking_number is"),
        ("2", "status can only be set to deli"),
        ("3", "nothing to change: pass at lea"),
    ]
    assert checked.duplicates == 1


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({}, "a place is a mapping with country, postcode; country, postcode is missing"),
        ({"country": "NO"}, "postcode is missing"),
        ({"country": "NO", "postcode": " "}, "postcode is missing"),
        ({"country": "NO", "postcode": "None"}, "postcode is missing"),
        ({"country": "NO", "postcode": True}, "postcode must be text, not bool"),
        ({"country": "NO", "postcode": float("nan")}, "postcode is not a number that can be sent"),
        (None, "a place is a mapping"),
        ("NO 9600", "a place is a mapping"),
        ({"country": "NO", "postcode": "\udce4"}, "postcode contains broken characters"),
        ({"country": "NO", "postcode": "9600", "company": ["dhl"]}, "company must be text, not list"),
    ],
)
def test_an_invalid_place_is_refused(place: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        endpoints.check_remote_areas([{"country": "IS", "postcode": "524"}, place])
    assert message in str(caught.value)


def test_a_place_may_name_a_company() -> None:
    place = {"country": "NO", "postcode": "9600", "company": "dhl", "remark": "x"}
    assert endpoints.check_remote_areas([place]).body == [{"country": "NO", "postcode": "9600", "company": "dhl"}]


def test_a_numeric_postal_code_is_sent_as_text() -> None:
    places = [{"country": "NO", "postcode": 9600}, {"country": "NO", "postcode": 9600.0, "company": " "}]
    assert endpoints.check_remote_areas(places).body == [{"country": "NO", "postcode": "9600"}] * 2


def test_a_lane_needs_its_three_names() -> None:
    with pytest.raises(
        InvalidArgumentError, match="a lane is a mapping with carrier_code, original, destination; carrier_code is"
    ):
        endpoints.get_transit_times([{"original": "DE", "destination": "CA"}])


def test_texts_are_stripped() -> None:
    assert check_mapping({"a": " x ", "b": None, "c": "y"}, ("a",), ("b", "c"), "record") == {"a": "x", "c": "y"}


@pytest.mark.parametrize(
    ("waybills", "sent"),
    [
        ("020-44718203", ["020-44718203"]),
        (["020-44718203", " 020-44718203 "], ["020-44718203"]),
        (["020-44718203", "02044718203", "020 44718203"], ["020-44718203"]),
        (("02044718203", "020 4471820"), ["02044718203", "020 4471820"]),
        ([], []),
    ],
)
def test_waybills_are_sent_once_each(waybills: object, sent: list[str]) -> None:
    assert check_waybills(waybills) == sent


@pytest.mark.parametrize(
    "wrong", ["", "020", "LH-44718203", "020-447182033", 2044718203, 10**5000, None, ["020"], b"020"], ids=type_name
)
def test_an_invalid_waybill_is_named_before_any_quota_is_spent(wrong: object) -> None:
    with pytest.raises(InvalidArgumentError, match="not air waybills") as caught:
        check_waybills(["016-44718203", wrong])
    assert "016-44718203" not in str(caught.value)


def outcome(call: Callable[[], Request[Any]]) -> Request[Any] | InvalidArgumentError:
    try:
        return call()
    except InvalidArgumentError as error:
        return error


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=6)
SCALARS |= st.sampled_from(
    [
        10**4000,
        "²",
        "9" * 5000,
        "\udce4",
        datetime.fromisoformat("9999-12-31"),
        datetime(9999, 12, 31, tzinfo=UTC),
        b"x",
    ]
)
ANYTHING = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(SCALARS, SCALARS, max_size=3)
FILTERS = st.dictionaries(st.sampled_from(sorted(ListFilters.__optional_keys__)) | SCALARS, ANYTHING, max_size=4)
CHANGES = st.dictionaries(st.sampled_from([*TEXT_FIELDS, "archived", "status"]) | SCALARS, ANYTHING, max_size=4)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FILTERS)
def test_any_filter_is_sent_as_it_is_or_refused(filters: dict[Any, Any]) -> None:
    request = outcome(lambda: endpoints.list_page(filters))  # type: ignore[arg-type]
    if isinstance(request, InvalidArgumentError):
        assert len(str(request)) < 400
        return
    query = parse_qsl(urlsplit(request.target).query, keep_blank_values=True)
    assert dict(query) == {"page": "1", "limit": "2000", **filter_query(filters)}
    assert request.target.isascii()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CHANGES)
def test_any_change_is_sent_or_refused(changes: dict[Any, Any]) -> None:
    request = outcome(lambda: endpoints.update_tracking("ups", "1Z5R89390357567127", changes_body(changes)))
    if isinstance(request, InvalidArgumentError):
        assert len(str(request)) < 400
        return
    sent = json.loads(request.encoded_body() or b"", parse_constant=pytest.fail)
    assert list(sent) == [name for name, value in changes.items() if value is not None]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(places=st.lists(ANYTHING, max_size=3), waybills=ANYTHING)
def test_any_place_lane_or_waybill_is_sent_or_refused(places: list[Any], waybills: object) -> None:
    for build in (
        lambda: endpoints.check_remote_areas(places),
        lambda: endpoints.get_transit_times(places),
        lambda: endpoints.track_air_cargo(check_waybills(waybills)),
    ):
        request = outcome(build)
        if isinstance(request, InvalidArgumentError):
            assert len(str(request)) < 2000
        else:
            json.loads(request.encoded_body() or b"", parse_constant=pytest.fail)
