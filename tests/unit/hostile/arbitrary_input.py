"""Arbitrary input from CSV files, templates and XComs, and a client that checks each request instead of sending it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlsplit

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.envelope import Request, parse_response
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.settings import ClientSettings

T = TypeVar("T")

CODES = ["usps", "china-post", " dhl ", "USPS"]
NUMBERS = ["RN123456785CN", " 9400100000000000000001 ", "1Z5R89390357567127", "172-28891937", "a,b", "Nº 7/8"]
TRICKY_TEXTS = [
    *("", " ", ".", "..", "../../carriers", "usps/../..", "usps%2f..", "..%5c", "usps?status=4", "usps#x", "~", "//x"),
    *("a\r\nTrackingmore-Api-Key: x", "a\tb", "\x00", "\x1b[2J", "\u202eabc", "\ud83d", "\ufeffusps", "x" * 10_000),
    *("null", "None", "NaN", "1e999", "9" * 5_000, "[]", '{"a": 1}', "{{ ds }}", "=1+1", "' OR 1=1", "\u0663", "0x10"),
    *("true", "FALSE", "2026-03-02T08:00:00+00:00", "2026-03-02 08:00", "-1", "1772438400", "delivered", "en", "US"),
]
TEXTS = st.sampled_from([*CODES, *NUMBERS]) | st.sampled_from(TRICKY_TEXTS) | st.text(max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**4_000, -(10**400), 9400, 0.1, float("nan"), float("-inf"), 1e308, Decimal("1.5"), b"usps"])
    | st.datetimes()
    | st.dates()
    | TEXTS
)
NAMES = (
    *("tracking_number", "carrier_code", "title", "order_id", "customer_email", "destination_code", "auto_correct"),
    *("order_create_time", "tracking_ship_date", "archived", "status", "lang", "comment", "country", "postcode"),
    *("company", "original", "destination", "numbers", "orders", "created_at_min", "update_time_max", "page_size"),
    *("self", "limit", "page", "specialNumberDestination"),
)
ANY_VALUE = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4) | st.integers(), inner, max_size=4)
    ),
    max_leaves=6,
)
FIELDS = st.dictionaries(st.sampled_from(NAMES), ANY_VALUE, max_size=4)
ROWS = (
    st.builds(
        lambda more, code, number: {**more, "carrier_code": code, "tracking_number": number},
        FIELDS,
        st.sampled_from(CODES) | ANY_VALUE,
        st.sampled_from(NUMBERS) | ANY_VALUE,
    )
    | st.builds(ShipmentKey, st.sampled_from(CODES) | ANY_VALUE, st.sampled_from(NUMBERS) | ANY_VALUE)
    | FIELDS
    | ANY_VALUE
)
LISTS = st.lists(ROWS, max_size=5)
LIST_OR_VALUE = LISTS | LISTS.map(iter) | ROWS
RESPONSES = st.lists(
    st.sampled_from(
        [(200, None), (200, []), (201, {}), (202, "text"), (4031, []), (4012, []), (4016, []), (4017, None), (4021, [])]
    ),
    min_size=1,
    max_size=4,
)

SLUG = re.compile(r"[0-9A-Za-z_-]{1,100}")


def hypothesis_settings(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


class CheckingClient:
    """Replaces the client: checks each request, and responds with the given codes in turn."""

    def __init__(self, responses: Sequence[tuple[int, Any]] = ((200, None),)) -> None:
        self.responses = responses
        self.sent = 0
        self.settings = ClientSettings(api_key="unit-test", pacing="memory")

    def send(self, request: Request[T], *, max_wait_seconds: float | None = None) -> T:
        assert_valid_request(request)
        code, data = self.responses[self.sent % len(self.responses)]
        self.sent += 1
        return parse_response(request, 200, {}, json.dumps({"meta": {"code": code}, "data": data}).encode())

    def close(self) -> None:
        pass


def assert_valid_request(request: Request[Any]) -> None:
    """The request is well-formed and goes to one of the endpoints."""
    target = request.target
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    parts = urlsplit("http://host/v2" + target)
    assert parts.netloc == "host"
    assert not parts.fragment
    segments = parts.path.removeprefix("/v2/").split("/")
    assert segments[0] in ("trackings", "carriers")
    assert len(segments) <= 4
    assert not {"", ".", ".."} & set(segments)
    assert all(value.isascii() and value.isprintable() for value in request.headers.values())
    body = request.encoded_body()
    if body is not None:
        assert_valid_body(json.loads(body, parse_constant=_reject_constant))


def assert_valid_body(body: Any) -> None:
    rows = body if isinstance(body, list) else [body]
    assert len(rows) <= 40
    for row in rows:
        assert isinstance(row, dict)
        for name, value in row.items():
            assert isinstance(value, str | int | float) or name == "track_number"
        for name in ("carrier_code", "update_carrier_code"):
            assert "tracking_number" not in row or name not in row or SLUG.fullmatch(row[name])
        number = row.get("tracking_number", "x")
        assert number == number.strip() != ""
        assert number.isprintable()
        assert len(number) <= 200


def assert_readable_message(message: str) -> None:
    """The message is one printable line."""
    assert message
    assert message.isprintable()
    assert len(message) < 10_000


def _reject_constant(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")
