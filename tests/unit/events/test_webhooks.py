"""Webhooks: what is read from those that TrackingMore signs, and what is refused."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.events.webhooks import Webhook, read_webhook
from airflow_provider_trackingmore.exceptions import WebhookError, WebhookSignatureError

EMAIL = "owner@shop.example"
SENT_AT = 1_772_438_400
KEY = ShipmentKey("usps", "9400100000000000000001")
RECORDED = json.loads((Path(__file__).parents[2] / "fixtures" / "v2" / "webhook.json").read_text(encoding="utf-8"))


def sign(time_text: object, email: str = EMAIL) -> str:
    return hmac.new(email.encode("utf-8", "surrogatepass"), str(time_text).encode(), hashlib.sha256).hexdigest()


def content(time: object = SENT_AT, signature: object = None, data: object = None) -> dict[str, Any]:
    return {
        "meta": {"code": 200, "type": "Success", "message": "Success"},
        "data": {**KEY._asdict(), "status": "delivered"} if data is None else data,
        "verifyInfo": {"timeStr": time, "signature": sign(time) if signature is None else signature},
    }


def read(body: object, *, email: str | None = EMAIL, now: float = SENT_AT, **more: float) -> Webhook:
    text = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return read_webhook(text, account_email=email, now=now, **more)


def test_the_recorded_webhook_names_its_shipment_and_its_time() -> None:
    webhook = read(RECORDED["body"], email=RECORDED["signature_key"], now=1_519_740_122 + 10)
    assert webhook == Webhook(ShipmentKey("poczta-polska", "RB600418817PL"), 1_519_740_122.0, stale=False)


def test_the_vendors_own_example_of_a_signature_is_right() -> None:
    """For v3: reference 5, recomputed there."""
    body = {
        "data": {"courier_code": "dhl", "tracking_number": "JJD01"},
        "timestamp": "1653632765",
        "signature": "0d90bb874fed0b056d8b3aa794529ebacd49932a0cea691629b63eaf2ca9d400",
    }
    webhook = read(body, email="info@trackingmore.org", now=1_653_632_765)
    assert webhook == Webhook(ShipmentKey("dhl", "JJD01"), 1_653_632_765.0, stale=False)


@pytest.mark.parametrize("time", [SENT_AT, str(SENT_AT)], ids=["number", "text"])
@pytest.mark.parametrize("spelling", [str.lower, str.upper])
@pytest.mark.parametrize(
    "wrap",
    [str, str.encode, lambda text: f"\ufeff{text}", lambda text: f"data={text}\n"],
    ids=["text", "bytes", "byte order mark", "text around it"],
)
def test_each_spelling_of_a_webhook_is_read(
    time: object, spelling: Callable[[str], str], wrap: Callable[[str], object]
) -> None:
    assert read(wrap(json.dumps(content(time, spelling(sign(time)))))) == Webhook(KEY, SENT_AT, stale=False)


def test_the_time_is_signed_as_it_is_written() -> None:
    assert read(content(f"0{SENT_AT}")).sent_at == SENT_AT
    with pytest.raises(WebhookSignatureError):
        read(content(f"0{SENT_AT}", sign(SENT_AT)))


@pytest.mark.parametrize(
    ("difference", "tolerance", "stale"),
    [(300, 300, False), (301, 300, True), (-300, 300, False), (-301, 300, True), (3_600, 7_200, False), (1, 0, True)],
)
def test_a_webhook_is_stale_outside_of_the_tolerance_in_both_directions(
    difference: float, tolerance: float, stale: bool
) -> None:
    assert read(content(), now=SENT_AT + difference, tolerance_seconds=tolerance).stale is stale


@pytest.mark.parametrize("email", [None, "", "  "])
def test_no_webhook_is_verified_without_a_key(email: str | None) -> None:
    with pytest.raises(WebhookSignatureError, match=r"cannot be verified.*: check the e-mail address of the account"):
        read(content(signature=sign(SENT_AT, email or "")), email=email)


@pytest.mark.parametrize("email", ["stranger@shop.example", "Owner@shop.example", "owner@shop.exampl"])
def test_a_webhook_is_refused_with_another_key(email: str) -> None:
    with pytest.raises(WebhookSignatureError, match=r"is wrong: check the e-mail address of the account"):
        read(content(), email=email)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no JSON object"),
        (b"\xff\xfe{}", "no JSON object"),
        ("[]", "no JSON object"),
        ("null", "no JSON object"),
        ("}{", "no JSON object"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "no JSON object"),
        ('{"verifyInfo": {"timeStr": ' + "9" * 5_000 + "}}", "no JSON object"),
        ({}, "no time"),
        ({"data": KEY._asdict(), "event": "v4"}, "no time"),
        (content("yesterday"), "no time"),
        (content("١٧٧٢٤٣٨٤٠٠"), "no time"),
        (content(f" {SENT_AT}"), "no time"),
        (content(f"{SENT_AT}\n"), "no time"),
        (content(-1), "no time"),
        (content(True), "no time"),
        (content(float(SENT_AT)), "no time"),
        (content(None), "no time"),
        (content("9" * 12), "no time"),
        ({**content(), "verifyInfo": []}, "no time"),
        (content(signature=""), "no signature"),
        (content(signature=5), "no signature"),
        (content(signature="é" * 64), "no signature"),
        (content(signature="a" * 63), "no signature"),
        (content(data=[]), "carrier_code is missing"),
        (content(data={"carrier_code": "usps"}), "tracking_number is missing"),
        (content(data={"carrier_code": "usps", "tracking_number": "null"}), "tracking_number is missing"),
        (content(data={"carrier_code": "us ps/..", "tracking_number": "1"}), "not a code"),
        (content(data={"carrier_code": "usps", "tracking_number": "1\nforged log line"}), "no carrier uses"),
        (content(data={"carrier_code": "usps", "tracking_number": "x" * 1_000}), "1000 characters"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_other_forms_are_refused_with_a_reason_and_a_hint(body: object, reason: str) -> None:
    with pytest.raises(WebhookError, match=reason) as refusal:
        read(body)
    assert str(refusal.value).endswith("set the version of webhooks to v2 at TrackingMore")
    assert not isinstance(refusal.value, WebhookSignatureError)


def test_a_wrong_signature_is_reported_before_an_invalid_shipment() -> None:
    with pytest.raises(WebhookSignatureError):
        read(content(signature="0" * 64, data=[]))


def test_a_number_that_is_not_text_becomes_text() -> None:
    assert read(content(data={"carrier_code": "usps", "tracking_number": 940010})).key == ("usps", "940010")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
TIMES = JSON | st.integers(0, 10**11).map(str) | st.just(SENT_AT)
EMAILS = st.none() | st.just(EMAIL) | st.text()


@st.composite
def signed_bodies(draw: st.DrawFn) -> dict[str, object]:
    """Bodies like the vendor's, each part of which may be anything; many signatures are right."""
    time = draw(TIMES)
    signature = draw(st.just(sign(ascii(time) if not str(time).isascii() else time)) | JSON)
    names = st.sampled_from(["carrier_code", "courier_code", "tracking_number", "id"])
    data = draw(JSON | st.dictionaries(names, JSON | st.sampled_from(KEY), max_size=4))
    if draw(st.booleans()):
        return {"data": data, "verifyInfo": {"timeStr": time, "signature": signature}}
    return {"data": data, "timestamp": time, "signature": signature}


@given(
    body=st.binary() | st.text() | JSON | signed_bodies(),
    email=EMAILS,
    now=st.floats(),
    tolerance=st.floats(),
)
def test_any_input_is_read_or_refused(body: object, email: str | None, now: float, tolerance: float) -> None:
    try:
        webhook = read(body, email=email, now=now, tolerance_seconds=tolerance)
    except WebhookError:
        return
    assert all(part.isprintable() and part == part.strip() != "" for part in webhook.key)


@given(st.integers(0, 99_999_999_999), st.text(min_size=1))
def test_only_the_key_that_signed_verifies(time: int, other: str) -> None:
    webhook = read(content(time))
    assert (webhook.key, webhook.sent_at) == (KEY, time)
    if other.strip() != EMAIL:
        with pytest.raises(WebhookSignatureError):
            read(content(time), email=other)
