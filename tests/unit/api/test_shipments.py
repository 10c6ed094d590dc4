"""Shipments are checked before any call; an invalid one is reported and does not affect the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.limits import MAX_NUMBER_LENGTH
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.shipments import (
    CREATE_FIELDS,
    REALTIME_FIELDS,
    as_shipment_list,
    check_shipments,
    shipment_body,
    shipment_key,
)

T = TypeVar("T")

GOOD = {"tracking_number": "1Z5R89390357567127", "carrier_code": "ups"}


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("shipment", "message"),
    [
        ({}, "tracking_number is missing"),
        ({"carrier_code": "ups"}, "tracking_number is missing"),
        ({**GOOD, "tracking_number": None}, "tracking_number is missing"),
        ({**GOOD, "tracking_number": "  "}, "tracking_number is missing"),
        ({**GOOD, "tracking_number": 123456}, "tracking_number must be text, not int 123456: quote it"),
        ({**GOOD, "tracking_number": 10**5000}, "tracking_number must be text, not int (more than 60 digits)"),
        ({**GOOD, "tracking_number": float("nan")}, "tracking_number must be text, not float nan: quote it"),
        ({**GOOD, "tracking_number": ["1Z"]}, "tracking_number must be text, not list"),
        ({**GOOD, "tracking_number": {"name": "Ida Brandt"}}, "tracking_number must be text, not dict"),
        ({**GOOD, "tracking_number": nested(5000)}, "tracking_number must be text, not list"),
        ({**GOOD, "tracking_number": "9" * 10_000}, f"has 10000 characters, more than {MAX_NUMBER_LENGTH}"),
        ({**GOOD, "tracking_number": "1Z\x00"}, r"tracking_number '1Z\x00' contains characters that no carrier uses"),
        ({**GOOD, "tracking_number": "1Z\n2"}, r"tracking_number '1Z\n2' contains characters that no carrier uses"),
        ({**GOOD, "tracking_number": "1Z\u202e2"}, r"tracking_number '1Z\u202e2' contains characters that no carrier"),
        (
            {**GOOD, "tracking_number": "1Z\udce4"},
            r"tracking_number '1Z\udce4' contains characters that no carrier uses",
        ),
        ({**GOOD, "tracking_number": ".."}, "tracking_number '..' contains characters that no carrier uses"),
        (
            {"tracking_number": "1Z5"},
            "carrier_code is missing (tracking_number 1Z5): list_carriers() returns all codes, detect_carrier()",
        ),
        ({**GOOD, "carrier_code": " "}, ": list_carriers() returns all codes"),
        ({**GOOD, "carrier_code": 7}, "carrier_code must be text, not int 7"),
        ({**GOOD, "carrier_code": "../x"}, "carrier_code '../x' is not a code like 'usps' or 'china-post'"),
        ({**GOOD, "carrier_code": "UPS Ground"}, "carrier_code 'UPS Ground' is not a code like 'usps'"),
        ({**GOOD, "carrier_code": "ups\n"}, None),
        ({**GOOD, "carrier_code": "u" * 10_000}, "is not a code like 'usps'"),
        ({**GOOD, "carrier_code": "\uff55\uff50\uff53"}, "is not a code like 'usps'"),
        (None, "a shipment is a mapping with tracking_number and carrier_code, not NoneType"),
        (17, "a shipment is a mapping with tracking_number and carrier_code, not int 17"),
        ("1Z5R89390357567127", "a shipment is a mapping with tracking_number and carrier_code, not str '1Z5R"),
        (["ups", "1Z5R89390357567127"], "a shipment is a mapping with tracking_number and carrier_code, not list"),
        (ShipmentKey("", "1Z5"), "carrier_code is missing"),
        (Tracking("ups", ""), "tracking_number is missing"),
        ({**GOOD, "title": ["x"]}, "ups 1Z5R89390357567127: title must be text, not list"),
        ({**GOOD, "title": date(2020, 1, 1)}, "ups 1Z5R89390357567127: title must be text, not date"),
        ({**GOOD, "order_id": Decimal("NaN")}, "order_id is not a number that can be sent: omit it instead"),
        ({**GOOD, "order_id": Decimal("1E+100")}, "order_id is not a number that can be sent: omit it instead"),
        ({**GOOD, "title": True}, "ups 1Z5R89390357567127: title must be text, not bool"),
        ({**GOOD, "auto_correct": 2}, "ups 1Z5R89390357567127: auto_correct must be True or False, not 2"),
        ({**GOOD, "auto_correct": "off"}, "auto_correct must be True or False, not 'off'"),
        (
            {**GOOD, "tracking_ship_date": "soon"},
            "ups 1Z5R89390357567127: tracking_ship_date 'soon' is not a date: pass",
        ),
        ({**GOOD, "tracking_ship_date": "20191399"}, "tracking_ship_date '20191399' is not a date: pass a date"),
        ({**GOOD, "order_create_time": "25.11.2026 9:00"}, "order_create_time '25.11.2026 9:00' is not a time: pass"),
        ({**GOOD, "order_create_time": [2019]}, "order_create_time list is not a time: pass a datetime"),
        ({**GOOD, "order_id": float("nan")}, "order_id is not a number that can be sent: omit it instead"),
        ({**GOOD, "order_id": float("inf")}, "order_id is not a number that can be sent: omit it instead"),
        ({**GOOD, "order_id": 10**5000}, "order_id is not a number that can be sent: omit it instead"),
        ({**GOOD, "customer_name": "Br\udce4ndt"}, "customer_name contains broken characters: read its source with"),
    ],
    ids=lambda value: ascii(value[:60]) if isinstance(value, str) else type(value).__name__,
)
def test_a_rejection_says_what_is_wrong_with_the_shipment(shipment: Any, message: str | None) -> None:
    other = {"tracking_number": "other", "carrier_code": "dpd"}
    checked = check_shipments([other, shipment], CREATE_FIELDS)
    if message is None:
        assert checked.rejected == ()
        return
    (rejection,) = checked.rejected
    assert rejection.message.startswith("shipment 2: ")
    assert message in rejection.message
    assert rejection.code is None
    assert len(str(rejection)) < 700
    assert str(rejection).isprintable()
    assert "Ida" not in str(rejection)
    assert "ndt" not in str(rejection)
    assert list(checked.bodies) == [ShipmentKey("dpd", "other")]
    with pytest.raises(InvalidArgumentError):
        shipment_body(shipment, CREATE_FIELDS)


def test_an_invalid_carrier_is_reported_with_its_number() -> None:
    with pytest.raises(InvalidArgumentError, match=r"carrier_code is missing.*\(tracking_number 1Z5\)"):
        shipment_key({"tracking_number": "1Z5"})


@pytest.mark.parametrize(
    ("shipment", "carrier", "number"),
    [
        ({"carrier_code": "ups"}, "ups", ""),
        ({"carrier_code": None, "tracking_number": "1Z5"}, "", "1Z5"),
        ({"carrier_code": "UPS Ground", "tracking_number": "1Z5"}, "UPS Ground", "1Z5"),
        ({"carrier_code": "ups", "tracking_number": 123}, "ups", "123"),
        ({"carrier_code": "ups", "tracking_number": {"name": "Ida Brandt"}}, "ups", ""),
        ({"carrier_code": "u\nps", "tracking_number": "9" * 500}, "ups", "9" * MAX_NUMBER_LENGTH),
        (ShipmentKey("no code", "1Z5"), "no code", "1Z5"),
        (Tracking("ups", ".."), "ups", ".."),
        ("1Z5", "", ""),
    ],
)
def test_a_rejection_names_the_shipment_as_far_as_it_was_given(shipment: object, carrier: str, number: str) -> None:
    (rejection,) = check_shipments([shipment]).rejected
    assert (rejection.carrier_code, rejection.tracking_number) == (carrier, number)


def test_an_invalid_shipment_does_not_affect_the_others() -> None:
    good = [{"tracking_number": f"N{index}", "carrier_code": "ups"} for index in range(100)]
    checked = check_shipments([*good[:50], {"carrier_code": "ups"}, *good[50:], None])
    assert list(checked.bodies.values()) == good
    assert [rejection.message[:12] for rejection in checked.rejected] == ["shipment 51:", "shipment 102"]


def test_duplicates_are_counted_and_the_first_mention_is_sent() -> None:
    other_carrier = {**GOOD, "carrier_code": "dpd"}
    checked = check_shipments(
        [{**GOOD, "title": "first"}, GOOD, {**GOOD, "tracking_number": " 1Z5R89390357567127 "}, other_carrier],
        CREATE_FIELDS,
    )
    assert checked.duplicates == 2
    assert list(checked.bodies.values()) == [{**GOOD, "title": "first"}, other_carrier]


def test_a_shipment_in_two_spellings_is_one_shipment() -> None:
    """The API ignores case."""
    checked = check_shipments([GOOD, {"tracking_number": "1z5r89390357567127", "carrier_code": "UPS"}])
    assert checked.duplicates == 1
    assert list(checked.bodies.values()) == [GOOD]


def test_surrounding_white_space_is_not_sent() -> None:
    body = shipment_body({"tracking_number": "\t1Z5R89390357567127 ", "carrier_code": " ups\n"}, CREATE_FIELDS)
    assert body == GOOD


def test_values_that_this_package_returns_are_shipments() -> None:
    tracking = Tracking("ups", "1Z5R89390357567127", order_id="SO-1", raw={"customer_name": "Ida Brandt"})
    assert shipment_body(tracking, CREATE_FIELDS) == GOOD
    assert shipment_body(tracking.key, CREATE_FIELDS) == GOOD
    assert check_shipments([tracking, tracking.key, GOOD]).duplicates == 2


def test_only_fields_that_the_endpoint_accepts_are_sent() -> None:
    given = {**GOOD, "title": "desk lamp", "order": "SO-1", "note": "x", "comment": None, "auto_correct": True}
    assert shipment_body(given, CREATE_FIELDS) == {**GOOD, "title": "desk lamp", "auto_correct": 1}
    assert shipment_body(given, REALTIME_FIELDS) == {**GOOD, "order": "SO-1", "auto_correct": 1}
    assert shipment_body(given, ()) == GOOD


def test_ignored_fields_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    rows = [{**GOOD, "wharehouse": "Ida Brandt"}, {**GOOD, "tracking_number": "2", "wharehouse": "x", "line\nbreak": 1}]
    with caplog.at_level(logging.WARNING):
        check_shipments(rows, CREATE_FIELDS)
        assert caplog.messages == []
        check_shipments(rows, CREATE_FIELDS, warn=True)
    (message,) = caplog.messages
    assert "'wharehouse'" in message
    assert r"'line\nbreak'" in message
    assert "Brandt" not in message
    assert "tracking_number" not in message


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("order_create_time", datetime(2019, 11, 4, 9, 30, tzinfo=UTC), "2019/11/04 09:30"),
        ("order_create_time", date(2019, 11, 4), "2019/11/04 00:00"),
        ("order_create_time", "2019-11-04", "2019/11/04 00:00"),
        ("order_create_time", "2019-11-04T09:30:00-05:00", "2019/11/04 14:30"),
        ("tracking_ship_date", date(2019, 11, 4), "20191104"),
        ("tracking_ship_date", datetime(2019, 11, 4, 9, 30, tzinfo=UTC), "20191104"),
        ("tracking_ship_date", "2019-11-04", "20191104"),
        ("tracking_ship_date", 20191104, "20191104"),
        ("order_id", 17, "17"),
        ("order_id", 17.0, "17"),
        ("order_id", Decimal("17.00"), "17"),
        ("order_id", Decimal("1.5"), "1.5"),
        ("order_id", 10**30, "1" + "0" * 30),
        ("tracking_postal_code", 1070, "1070"),
        ("tracking_account_number", -0.5, "-0.5"),
        ("title", "", ""),
        ("auto_correct", False, 0),
        ("auto_correct", "1", 1),
        ("auto_correct", " True", 1),
    ],
)
def test_values_are_sent_in_the_vendors_form(name: str, value: object, sent: object) -> None:
    body = shipment_body({**GOOD, name: value}, CREATE_FIELDS)
    assert body[name] == sent
    assert type(body[name]) is type(sent)


@pytest.mark.parametrize("name", ["order_create_time", "tracking_ship_date", "auto_correct"])
@pytest.mark.parametrize("value", [None, "", " ", "None"])
def test_a_blank_date_or_flag_is_not_sent(name: str, value: object) -> None:
    assert shipment_body({**GOOD, name: value}, CREATE_FIELDS) == GOOD


def test_realtime_accepts_two_create_fields_and_sends_them_by_its_own_names() -> None:
    shipment = {**GOOD, "order_id": 5, "tracking_destination_country": "UK", "tracking_ship_date": "2018-09-08"}
    body = shipment_body(shipment, REALTIME_FIELDS)
    assert endpoints.realtime_tracking(body).body == {
        **GOOD, "order": "5", "specialNumberDestination": "UK", "tracking_ship_date": "20180908",
    }  # fmt: skip
    own = {**shipment, "order": "#123", "specialNumberDestination": "GB"}
    sent = endpoints.realtime_tracking(shipment_body(own, REALTIME_FIELDS)).body
    assert isinstance(sent, dict)
    assert (sent["order"], sent["specialNumberDestination"]) == ("#123", "GB")
    assert "order_id" not in sent


@pytest.mark.parametrize("fields", [CREATE_FIELDS, REALTIME_FIELDS])
def test_one_shipment_warns_of_unknown_fields_like_many(
    caplog: pytest.LogCaptureFixture, fields: tuple[str, ...]
) -> None:
    shipment_body({**GOOD, "wharehouse": "Ida Brandt"}, fields)
    assert caplog.messages == []
    shipment_body({**GOOD, "wharehouse": "Ida Brandt", "comment": "x"}, fields, warn=True)
    assert caplog.messages == ["Ignored fields, which this endpoint does not accept: 'wharehouse'"]
    shipment_body({**GOOD, "order_id": "x"}, fields, warn=True)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("shipments", "entries"),
    [
        (None, 0), ([], 0), ((), 0), (iter(()), 0), (GOOD, 1), (ShipmentKey("ups", "1"), 1), (Tracking("ups", "1"), 1),
        ([GOOD, GOOD], 2), ((GOOD for _ in range(3)), 3), ({"a": GOOD}.values(), 1), ({frozenset({1})}, 1),
    ],
)  # fmt: skip
def test_shipments_may_be_one_or_any_iterable(shipments: object, entries: int) -> None:
    assert len(as_shipment_list(shipments)) == entries


@pytest.mark.parametrize("shipments", ["[{'tracking_number': '1'}]", b"x", 7, 1.5, True, object(), len])
def test_anything_but_a_list_is_refused(shipments: object) -> None:
    with pytest.raises(
        InvalidArgumentError, match="shipments must be a list of mappings with tracking_number"
    ) as caught:
        check_shipments(shipments)
    assert "Airflow" not in str(caught.value)
    assert "native_obj" not in str(caught.value)


def test_an_error_of_the_users_own_generator_stays_that_error() -> None:
    def orders() -> Iterator[dict[str, str]]:
        yield GOOD
        raise ConnectionResetError("database went away")

    with pytest.raises(ConnectionResetError):
        check_shipments(orders())


def outcome(call: Callable[[], T]) -> T | InvalidArgumentError:
    try:
        return call()
    except InvalidArgumentError as error:
        return error


TEXTS = [
    "",
    " ",
    ".",
    "..",
    "../../x",
    "a/b?c#d",
    "%2e",
    "x" * 10_000,
    "\x00",
    "\x1b[31m",
    "\u202e",
    "\udce4",
    "ups",
    "1Z5",
]
ODD = [10**4000, Decimal("NaN"), date(1, 1, 1), datetime(9999, 12, 31, tzinfo=UTC), object(), b"\xff"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(ODD)
SCALARS |= st.sampled_from(TEXTS) | st.text(st.characters(codec=None), max_size=6)
NAMES = st.sampled_from(["tracking_number", "carrier_code", *CREATE_FIELDS]) | st.sampled_from(
    [None, 3, "a\nb", 10**4000]
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=10,
)
NEARLY = st.fixed_dictionaries(
    {
        "tracking_number": st.sampled_from(["A1", "a1", " A1", "B2"]) | SCALARS,
        "carrier_code": st.sampled_from(["ups", "dpd "]) | SCALARS,
    },
    optional=dict.fromkeys(("title", "order_id", "order_create_time", "tracking_ship_date"), SCALARS | ANYTHING),
)
KEYS = st.builds(ShipmentKey, SCALARS, SCALARS) | st.builds(Tracking, SCALARS, SCALARS)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING | st.lists(ANYTHING | NEARLY | KEYS, max_size=8))
def test_anything_at_all_is_accounted_for(shipments: object) -> None:
    checked = outcome(lambda: check_shipments(shipments, CREATE_FIELDS, warn=True))
    if isinstance(checked, InvalidArgumentError):
        assert not isinstance(shipments, (list, tuple, dict))
        assert checked.message.isprintable()
        return
    assert len(checked.bodies) + len(checked.rejected) + checked.duplicates == len(as_shipment_list(shipments))
    for rejection in checked.rejected:
        assert str(rejection).isprintable()
        assert len(str(rejection)) < 900
    for key, body in checked.bodies.items():
        request = endpoints.create_tracking(body)
        assert (request.encoded_body() or b"").isascii()
        path = endpoints.get_tracking(*key).path
        assert [unquote(segment) for segment in path.split("/")] == ["", "trackings", *key]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING | NEARLY | KEYS)
def test_one_shipment_is_a_body_or_an_explained_refusal(shipment: object) -> None:
    body = outcome(lambda: shipment_body(shipment, REALTIME_FIELDS))
    if isinstance(body, InvalidArgumentError):
        assert body.message.isprintable()
        return
    assert (body["carrier_code"], body["tracking_number"]) == shipment_key(shipment)
    assert endpoints.realtime_tracking(body).encoded_body()
