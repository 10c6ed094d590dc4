"""What a call is, and how its answer is read: ``Request[T]`` + (status, headers, body) -> ``T`` or an exception.

Knows the vendor's envelope ``{"meta": {"code", "type", "message"}, "data"}``; knows no endpoint and sends nothing.
"""

from __future__ import annotations

import enum
import json
import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast
from urllib.parse import quote, urlencode

from airflow_provider_trackingmore.api import json_rows, limits
from airflow_provider_trackingmore.api.errors import (
    HINTS,
    ApiError,
    InvalidArgumentError,
    MalformedResponseError,
    RateLimitError,
    ResponseTooLargeError,
    ServiceUnavailableError,
    TrackingMoreError,
    error_class,
    status_class,
)
from airflow_provider_trackingmore.api.validation import is_unicode

log = logging.getLogger(__name__)

T = TypeVar("T")
U = TypeVar("U")
Method = Literal["GET", "POST", "PUT", "DELETE"]

SUCCESS_CODES = frozenset({200, 201, 202})
"""Reference 2.1. 202 is "done, but over the limit": success with a warning."""


CHECK_BASE_URL_AND_PROXY = "check the base URL (host) of the connection and any proxy or firewall in between"


class Repeat(enum.Enum):
    """Whether a request may be sent again after its answer was lost."""

    ALWAYS = "always"
    """Carrying it out twice leaves what carrying it out once leaves."""
    UNLESS_SENT = "unless sent"
    """It costs quota each time (or is refused the second time): only when it never left or was refused."""


@dataclass(frozen=True, kw_only=True)
class Request(Generic[T]):
    """One call, as data.

    :param method: the HTTP method.
    :param path: below the base URL, percent-encoded, beginning with ``/``.
    :param query: query parameters, in order.
    :param body: what to send as JSON; None sends no body.
    :param headers: headers beyond those that every call has.
    :param parse: turns ``data`` of a successful answer into the result.
    :param expected_codes: codes that are an answer here although they are errors elsewhere, each with its result.
    :param repeat: whether the call may be repeated after its answer was lost.
    :param subject: which shipment it is about, for messages; empty when there is no single one.
    :param realtime: whether it is a call to the vendor's realtime endpoint, which may have a pace of its own.
    :param max_rows: rows that its answer may have under ``items``; None for an answer that is no page.
    :param parse_row: cuts each row down to what ``parse`` needs, while the page is decoded; it raises nothing. None:
        ``parse`` gets the rows as they are.
    """

    method: Method
    path: str
    parse: Callable[[object], T] = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    expected_codes: Mapping[int, Callable[[], T]] = field(default_factory=dict, repr=False)
    repeat: Repeat = Repeat.ALWAYS
    subject: str = ""
    realtime: bool = False
    max_rows: int | None = None
    parse_row: Callable[[object], object] | None = field(default=None, repr=False)

    @property
    def max_bytes(self) -> int:
        """Bytes that its answer may have when it is decompressed."""
        return limits.MAX_ANSWER_BYTES + limits.MAX_ROW_BYTES * (self.max_rows or 0)

    @property
    def max_values(self) -> int:
        """JSON values that its answer may have: what decides on the memory that it takes."""
        return limits.MAX_OTHER_VALUES + limits.MAX_ROW_VALUES * (self.max_rows or 0)

    def with_parser(
        self,
        parse: Callable[[object], U],
        *,
        empty: Callable[[], U] | None = None,
        parse_row: Callable[[object], object] | None = None,
    ) -> Request[U]:
        """Return the same call with another result.

        :param parse: turns ``data`` of a successful answer into that result.
        :param empty: makes the result for the codes in ``expected_codes``; None: they are errors.
        :param parse_row: cuts each row down to what ``parse`` needs; it raises nothing.
        """
        expected_codes = {} if empty is None else dict.fromkeys(self.expected_codes, empty)
        changed = replace(cast("Request[Any]", self), parse=parse, expected_codes=expected_codes, parse_row=parse_row)
        return cast("Request[U]", changed)

    @property
    def target(self) -> str:
        """Path and query, ready to be put behind the base URL."""
        return f"{self.path}?{urlencode(self.query, safe=',')}" if self.query else self.path

    @property
    def name(self) -> str:
        """The call in messages: method and path, and the shipment where there is one."""
        return f"{self.method} {self.path}" + (f" ({self.subject})" if self.subject else "")

    def encoded_body(self) -> bytes | None:
        """The body as it goes over the wire."""
        return None if self.body is None else json.dumps(self.body, separators=(",", ":")).encode()


def path(*segments: str | None) -> str:
    """Join path segments, each percent-encoded; None is left out.

    :param segments: plain text; ``/`` and all other reserved characters in it are encoded.
    :return: the path with a leading slash.
    :raises InvalidArgumentError: if a segment is empty, ``.`` or ``..``: no encoding keeps those from changing a path;
        or if it is no text, or holds half a character, which has no encoding.
    """
    kept = [segment for segment in segments if segment is not None]
    for segment in kept:
        if not isinstance(segment, str):
            raise InvalidArgumentError(f"{type(segment).__name__} cannot stand in the path of a call: give text")
        if segment in ("", ".", "..") or not is_unicode(segment):
            raise InvalidArgumentError(
                f"{segment[:60]!r} cannot stand in the path of a call: give a real code or number"
            )
    return "/" + "/".join(quote(segment, safe="") for segment in kept)


def parse_response(request: Request[T], status: int, headers: Mapping[str, str], body: bytes) -> T:
    """Turn an answer into the request's result.

    :param request: the call that was answered.
    :param status: the HTTP status. The vendor answers 200 for errors too; only ``meta.code`` tells.
    :param headers: the answer's headers, looked up without regard to case.
    :param body: the answer's bytes.
    :return: what ``request.parse`` makes of ``data``.
    :raises TrackingMoreError: everything else, each as its class.
    """
    try:
        answer: object = json_rows.loads(
            body, max_rows=request.max_rows, max_values=request.max_values, parse_row=request.parse_row
        )
    except json_rows.TooLargeError as error:
        raise ResponseTooLargeError(
            f"{request.name}: {error}: {CHECK_BASE_URL_AND_PROXY}", http_status=status
        ) from None
    except (ValueError, RecursionError):
        answer = None
    meta = answer.get("meta") if isinstance(answer, dict) else None
    code = _code(meta.get("code")) if isinstance(meta, dict) else None
    if status >= 400 and (code is None or code in SUCCESS_CODES):
        raise _refused_without_envelope(request, status, headers, body)
    if not isinstance(answer, dict) or not isinstance(meta, dict) or code is None:
        raise MalformedResponseError(
            f"{request.name}: {_describe(status, headers, body)} instead of an answer of TrackingMore's API; "
            f"{CHECK_BASE_URL_AND_PROXY}",
            http_status=status,
        )
    if code in request.expected_codes:
        return request.expected_codes[code]()
    if code not in SUCCESS_CODES:
        raise _refused_in_envelope(request, code, _text(meta.get("message")), status, headers)
    if code == 202:
        log.warning("%s: TrackingMore did it but says that the account is over its limit (202)", request.name)
    try:
        return request.parse(answer.get("data"))
    except ApiError as error:  # success without a record, where the record is the answer
        error.from_api = True
        raise


def _refused_in_envelope(
    request: Request[T], code: int, words: str, status: int, headers: Mapping[str, str]
) -> TrackingMoreError:
    cls = error_class(code)
    said = f"TrackingMore answered {code}" + (f" ({words.rstrip('.')})" if words else "")
    hint = f": {HINTS[cls]}" if cls in HINTS else ""
    return cls(
        f"{request.name}: {said}{hint}",
        code=code,
        http_status=status,
        retry_after=_retry_after(cls, headers),
        from_api=True,
    )


def _refused_without_envelope(
    request: Request[T], status: int, headers: Mapping[str, str], body: bytes
) -> TrackingMoreError:
    """An HTTP error without the vendor's envelope: whoever sent it, it says nothing about key or shipments."""
    cls = status_class(status)
    hint = f"; {HINTS[cls]}" if cls is RateLimitError else ""
    return cls(
        f"{request.name}: {_describe(status, headers, body)} did not come from TrackingMore's API: "
        f"{CHECK_BASE_URL_AND_PROXY}{hint}",
        code=status,
        http_status=status,
        retry_after=_retry_after(cls, headers),
    )


def _code(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else None


def _text(value: object) -> str:
    return value[:300] if isinstance(value, str) else ""


def _retry_after(cls: type[TrackingMoreError], headers: Mapping[str, str]) -> float | None:
    """Seconds from ``Retry-After``; its date form would need a clock and is not known to be used here."""
    if not issubclass(cls, (RateLimitError, ServiceUnavailableError)):
        return None
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else None


def _describe(status: int, headers: Mapping[str, str], body: bytes) -> str:
    kind = next((text for name, text in headers.items() if name.lower() == "content-type"), "no content type")
    what = f"{len(body)} bytes of {kind[:60]}" if body else "an empty body"
    return f"HTTP {status} with {what}"


RequestFlow: TypeAlias = Generator[Request[Any], Any, T]
"""Yields requests, is sent their results, returns the outcome."""
