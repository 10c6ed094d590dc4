"""Whatever the response is, parsing its envelope raises nothing but a TrackingMoreError."""

from __future__ import annotations

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.envelope import Request, parse_response
from airflow_provider_trackingmore.api.errors import TrackingMoreError

REQUEST: Request[object] = Request(method="GET", path="/trackings/get", parse=lambda data: data)

STATUS = st.integers(100, 599)
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "content-type", "Retry-After", "retry-after", "X"]),
    st.text(max_size=20) | st.integers(-10, 10**9).map(str),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=15,
)
ENVELOPE = st.fixed_dictionaries(
    {},
    optional={
        "meta": JSON
        | st.fixed_dictionaries(
            {},
            optional={
                "code": JSON
                | st.sampled_from([200, 201, 202, 204, 429, 4016, 4031, "200", "0429", "२००", 200.0, True]),
                "type": JSON,
                "message": JSON,
            },
        ),
        "data": JSON,
    },
)


def assert_read_or_refused(status: int, headers: dict[str, str], body: bytes) -> None:
    with contextlib.suppress(TrackingMoreError):
        parse_response(REQUEST, status, headers, body)


@given(STATUS, HEADERS, st.binary(max_size=200))
def test_arbitrary_bytes(status: int, headers: dict[str, str], body: bytes) -> None:
    assert_read_or_refused(status, headers, body)


@given(STATUS, HEADERS, JSON | ENVELOPE)
def test_arbitrary_json(status: int, headers: dict[str, str], value: object) -> None:
    assert_read_or_refused(status, headers, json.dumps(value).encode())


@given(STATUS, st.sampled_from([b"[", b'{"a":', b"9"]), st.integers(1, 100_000))
def test_json_that_is_deep_or_long_without_end(status: int, piece: bytes, times: int) -> None:
    assert_read_or_refused(status, {}, b'{"meta":{"code":' + piece * times)
    assert_read_or_refused(status, {}, b'{"meta":{"code":' + piece * times + b"}}")


@given(ENVELOPE, st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-8-sig", "utf-16-le"]))
def test_json_in_other_encodings(value: object, encoding: str) -> None:
    assert_read_or_refused(200, {}, json.dumps(value, ensure_ascii=False).encode(encoding, "surrogatepass"))
