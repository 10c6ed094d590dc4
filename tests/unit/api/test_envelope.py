"""Any status, headers and body become a result or an error."""

from __future__ import annotations

import codecs
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.api import endpoints, errors
from airflow_provider_trackingmore.api.envelope import parse_response
from airflow_provider_trackingmore.api.errors import ApiError, MalformedResponseError, Retry
from airflow_provider_trackingmore.api.models import ShipmentStatus
from airflow_provider_trackingmore.api.resources import Page

Read = Callable[..., Any]

ACCOUNT = endpoints.get_account()
ONE = endpoints.get_tracking("ups", "1Z5R89390357567127")
FOUND = {"meta": {"code": 200}, "data": {"tracking_number": "1Z5R89390357567127", "carrier_code": "ups"}}

# Reference 2.1: the vendor's table of codes.
TABLE = [
    (401, errors.AuthenticationError, Retry.NEVER),
    (402, errors.QuotaExceededError, Retry.NEVER),
    (403, errors.AuthenticationError, Retry.NEVER),
    (404, errors.InvalidRequestError, Retry.NEVER),
    (405, errors.InvalidRequestError, Retry.NEVER),
    (409, errors.InvalidRequestError, Retry.NEVER),
    (429, errors.RateLimitError, Retry.ALWAYS),
    (500, errors.ServerError, Retry.IF_REPEATABLE),
    (503, errors.ServiceUnavailableError, Retry.ALWAYS),
    (4001, errors.AuthenticationError, Retry.NEVER),
    (4002, errors.AuthenticationError, Retry.NEVER),
    (4012, errors.InvalidRequestError, Retry.NEVER),
    (4013, errors.InvalidRequestError, Retry.NEVER),
    (4014, errors.InvalidRequestError, Retry.NEVER),
    (4015, errors.InvalidRequestError, Retry.NEVER),
    (4016, errors.TrackingExistsError, Retry.NEVER),
    (4017, errors.TrackingNotFoundError, Retry.NEVER),
    (4018, errors.ActivationRequiredError, Retry.NEVER),
    (4019, errors.QuotaExceededError, Retry.NEVER),
    (4020, errors.BatchTooLargeError, Retry.NEVER),
    (4021, errors.QuotaExceededError, Retry.NEVER),
    (4031, errors.TrackingNotFoundError, Retry.NEVER),
    (4032, errors.CarrierNotDetectedError, Retry.NEVER),
    (4033, errors.InvalidRequestError, Retry.NEVER),
]


@pytest.mark.parametrize(("code", "error", "retry"), TABLE)
@pytest.mark.parametrize("form", [int, str], ids=["as number", "as text"])
@pytest.mark.parametrize(
    "data", [{"data": []}, {"data": {}}, {"data": None}, {}], ids=["list", "object", "null", "none"]
)
def test_each_code_of_the_table_has_its_error(code, error, retry, form, data, read: Read) -> None:
    with pytest.raises(ApiError) as caught:
        read(ACCOUNT, {"meta": {"code": form(code), "type": "Some Type", "message": "What the vendor says."}, **data})
    assert type(caught.value) is error
    assert caught.value.retry is retry
    assert caught.value.code == code
    assert caught.value.http_status == 200
    assert f"TrackingMore answered {code} (What the vendor says)" in caught.value.message


@pytest.mark.parametrize(("code", "error", "retry"), [row for row in TABLE if row[0] < 1000])
@pytest.mark.parametrize(
    "body",
    [
        b"<html><body><h1>Bad Gateway</h1></body></html>",
        b"",
        b'{"meta": {"code": 4',
        b'{"meta": {"code": 200}, "data": []}',
        b'{"error": "upstream"}',
        b"null",
    ],
)
def test_the_http_status_counts_if_the_body_has_no_code(code, error, retry, body: bytes, read: Read) -> None:
    with pytest.raises(ApiError) as caught:
        read(ACCOUNT, body, status=code)
    assert type(caught.value) is error
    assert (caught.value.retry, caught.value.code, caught.value.http_status) == (retry, code, code)


@pytest.mark.parametrize("status", [502, 504, 520])
def test_a_gateway_error_may_mean_that_the_request_was_processed(status: int, read: Read) -> None:
    with pytest.raises(errors.ServerError) as caught:
        read(ACCOUNT, b"<html>", status=status, headers={"Content-Type": "text/html"})
    assert caught.value.retry is Retry.IF_REPEATABLE


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_the_code_in_the_body_counts_more_than_the_http_status(status: int, read: Read) -> None:
    with pytest.raises(errors.QuotaExceededError) as caught:
        read(ACCOUNT, {"meta": {"code": 4021, "message": "Quota used up."}, "data": []}, status=status)
    assert (caught.value.code, caught.value.http_status) == (4021, status)


@pytest.mark.parametrize("code", [200, 201, "200", "201"])
def test_both_success_codes_are_success(code: object, read: Read) -> None:
    assert read(ONE, {**FOUND, "meta": {"code": code}}).tracking_number == "1Z5R89390357567127"


def test_meta_needs_neither_type_nor_message(read: Read) -> None:
    assert read(ONE, FOUND).carrier_code == "ups"
    with pytest.raises(errors.InvalidRequestError, match=r"TrackingMore answered 4014$"):
        read(ONE, {"meta": {"code": 4014}})


@pytest.mark.parametrize("message", [None, 7, ["x"], {"y": 1}])
def test_a_message_that_is_not_text_is_omitted(message: object, read: Read) -> None:
    with pytest.raises(errors.InvalidRequestError, match=r"TrackingMore answered 4014$"):
        read(ONE, {"meta": {"code": 4014, "message": message}})


def test_a_very_long_message_is_cut(read: Read) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        read(ONE, {"meta": {"code": 4014, "message": "x" * 100_000}})
    assert len(caught.value.message) < 500


def test_done_but_over_the_limit_is_success_with_a_warning(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="airflow_provider_trackingmore"):
        assert read(ONE, {**FOUND, "meta": {"code": 202, "type": "Bad Request"}}).carrier_code == "ups"
    (warning,) = caplog.messages
    assert "ups 1Z5R89390357567127" in warning
    assert "202" in warning


def test_success_logs_nothing(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="airflow_provider_trackingmore"):
        read(ONE, FOUND)
    assert caplog.messages == []


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
@pytest.mark.parametrize(("code", "error"), [(429, errors.RateLimitError), (503, errors.ServiceUnavailableError)])
@pytest.mark.parametrize("status", [200, 429, 503])
def test_retry_after_of_the_server_is_kept(name: str, code: int, error, status: int, read: Read) -> None:
    with pytest.raises(error) as caught:
        read(ACCOUNT, {"meta": {"code": code}}, status=status, headers={name: "37"})
    assert caught.value.retry_after == 37.0


@pytest.mark.parametrize("value", ["", "soon", "-5", "1e9", "999999999", "٣", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_an_unusable_retry_after_is_ignored(value: str, read: Read) -> None:
    with pytest.raises(errors.RateLimitError) as caught:
        read(ACCOUNT, {"meta": {"code": 429}}, headers={"Retry-After": value})
    assert caught.value.retry_after is None


def test_other_errors_have_no_retry_after(read: Read) -> None:
    with pytest.raises(errors.AuthenticationError) as caught:
        read(ACCOUNT, {"meta": {"code": 4001}}, headers={"Retry-After": "37"})
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    ("body", "described"),
    [
        (b"<html><body>Please log in</body></html>", "39 bytes of text/html"),
        (b"", "an empty body"),
        (b'{"meta": {"code": 200}, "data": {"tracki', "40 bytes"),
        (b"[]", "2 bytes"),
        (b"null", "4 bytes"),
        (b'"text"', "6 bytes"),
        (b"200", "3 bytes"),
        (b"{}", "2 bytes"),
        (b'{"meta": null}', "14 bytes"),
        (b'{"meta": []}', "12 bytes"),
        (b'{"meta": {}}', "12 bytes"),
        (b'{"meta": {"code": null}}', "24 bytes"),
        (b'{"meta": {"code": true}}', "24 bytes"),
        (b'{"meta": {"code": "ok"}}', "24 bytes"),
        (b'{"meta": {"code": []}}', "22 bytes"),
        (b'{"meta": {"code": NaN}}', "23 bytes"),
        (b'{"code": 200, "message": "v3", "data": []}', "42 bytes"),
        ("zażółć".encode()[:-1], "9 bytes"),
        (b"\xff\xfe\xfd", "3 bytes"),
        (b'{"meta": {"code": 200, "message": "\xff"}}', "39 bytes"),
        (b"[" * 200_000, "200000 bytes"),
        (b'{"meta": {"code": 200}, "data": ' + b'{"a":' * 200_000, "1000032 bytes"),
        (b'{"meta": {"code": 200}, "data": ' + b"9" * 5000 + b"}", "5033 bytes"),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else "",
)
def test_the_error_describes_a_response_that_is_not_the_vendors(body: bytes, described: str, read: Read) -> None:
    with pytest.raises(MalformedResponseError) as caught:
        read(ONE, body, headers={"content-type": "text/html"})
    assert described in caught.value.message
    assert "ups 1Z5R89390357567127" in caught.value.message
    assert "check the base URL" in str(caught.value)
    assert caught.value.retry is Retry.IF_REPEATABLE
    assert caught.value.http_status == 200


def test_a_redirect_is_not_a_response_of_the_api(read: Read) -> None:
    with pytest.raises(MalformedResponseError, match="HTTP 302 with an empty body"):
        read(ONE, b"", status=302)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-be"])
def test_a_byte_order_mark_or_another_unicode_encoding_is_accepted(encoding: str, read: Read) -> None:
    assert read(ONE, json.dumps(FOUND).encode(encoding)).carrier_code == "ups"
    assert read(ONE, codecs.BOM_UTF8 + json.dumps(FOUND).encode()).carrier_code == "ups"


@pytest.mark.parametrize(
    "data", [{"data": []}, {"data": {}}, {"data": None}, {}], ids=["list", "object", "null", "none"]
)
def test_an_empty_response_means_the_same_in_every_form(data: dict[str, Any], read: Read) -> None:
    empty = {"meta": {"code": 200}, **data}
    body = {"carrier_code": "ups", "tracking_number": "1Z5R89390357567127"}
    assert read(endpoints.list_page(), empty) == Page((), 0)
    assert read(endpoints.list_carriers(), empty) == []
    assert read(endpoints.detect_carrier("1Z5R89390357567127"), empty) == []
    assert read(endpoints.check_remote_areas([]), empty) == []
    assert read(endpoints.get_transit_times([]), empty) == []
    assert read(endpoints.track_air_cargo([]), empty) == {}
    assert set(read(endpoints.count_by_status(), empty).values()) == {0}
    assert read(endpoints.create_tracking(body), empty).created is False
    assert read(endpoints.update_tracking("ups", "1Z5R89390357567127", {}), empty).key == ("ups", "1Z5R89390357567127")
    assert read(endpoints.delete_tracking("ups", "1Z5R89390357567127"), empty) is True
    assert (
        read(
            endpoints.change_carrier(carrier_code="ups", tracking_number="1Z5R89390357567127", new_carrier_code="dpd"),
            empty,
        )
        is None
    )
    for request in (ONE, endpoints.realtime_tracking(body)):
        with pytest.raises(errors.TrackingNotFoundError, match="ups 1Z5R89390357567127"):
            read(request, empty)


@pytest.mark.parametrize("status", [200, 404])
def test_a_4031_is_an_empty_result_and_not_an_error(status: int, record: Callable[[str], Any], read: Read) -> None:
    nothing = record("errors")["4031"]
    assert read(endpoints.list_page({"status": "delivered"}), nothing, status=status) == Page((), 0)
    assert read(endpoints.list_carriers(), nothing, status=status) == []
    assert read(endpoints.check_remote_areas([]), nothing, status=status) == []
    assert read(endpoints.get_transit_times([]), nothing, status=status) == []
    assert read(endpoints.track_air_cargo([]), nothing, status=status) == {}
    assert set(read(endpoints.count_by_status(), nothing, status=status).values()) == {0}
    assert read(endpoints.delete_tracking("ups", "1"), nothing, status=status) is False


def test_a_carrier_that_cannot_be_detected_is_an_empty_result(read: Read) -> None:
    assert read(endpoints.detect_carrier("1"), {"meta": {"code": 4032, "type": "No Content"}, "data": []}) == []


def test_odd_scalars_inside_a_tracking_are_harmless() -> None:
    body = (
        b'{"meta": {"code": 200}, "data": {"total": NaN, "items": [{"tracking_number": "A1", "carrier_code": "ups",'
        b'"status": "\\ud83d", "itemTimeLength": NaN, "stayTimeLength": 1e999, "order_id": ' + b"7" * 4000 + b","
        b'"updated_at": "0000-00-00", "extra": ' + b"[" * 200 + b"]" * 200 + b"}]}}"
    )
    page = parse_response(endpoints.list_page(), 200, {}, body)
    assert page.total is None
    (tracking,) = page.items
    assert (tracking.status, tracking.status_text) == (ShipmentStatus.UNKNOWN, "\ud83d")
    assert (tracking.transit_days, tracking.stay_days, tracking.updated_at) == (None, None, None)
    assert tracking.order_id == "7" * 4000
    assert isinstance(tracking.raw["extra"], list)


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b'{"meta": {"code": 429, "message": "Slow down."}}'), (200, b"<html>"), (500, b""), (302, b"")],
)
def test_a_message_never_contains_the_query(status: int, body: bytes, read: Read) -> None:
    request = endpoints.list_page({"numbers": ["JJD000390007882536"], "orders": ["SO-10511"]})
    assert "JJD000390007882536" in request.target
    with pytest.raises(errors.TrackingMoreError) as caught:
        read(request, body, status=status)
    assert caught.value.message.startswith("GET /trackings/get: ")
    for secret in ("?", "JJD000390007882536", "SO-10511"):
        assert secret not in caught.value.message


def test_a_message_never_contains_the_body(read: Read) -> None:
    body = {"carrier_code": "ups", "tracking_number": "1Z", "customer_name": "Ida Brandt"}
    for request in (endpoints.create_tracking(body), endpoints.create_batch([body]), endpoints.realtime_tracking(body)):
        with pytest.raises(errors.TrackingMoreError) as caught:
            read(request, {"meta": {"code": 4012}})
        assert "Brandt" not in caught.value.message


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (4001, "check the API key"),
        (4017, "register it first"),
        (4018, "ask TrackingMore's support"),
        (4021, "top up the account"),
        (4032, "specify the carrier_code"),
        (429, "share one rate limit"),
    ],
)
def test_an_error_that_a_user_can_fix_says_how(code: int, hint: str, read: Read) -> None:
    with pytest.raises(ApiError, match=hint):
        read(ONE, {"meta": {"code": code}})
