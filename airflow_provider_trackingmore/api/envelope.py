"""Describe API requests and parse their responses: a ``Request[T]`` and its response become a ``T`` or an error.

Every response of the API is wrapped in ``{"meta": {"code", "type", "message"}, "data"}``.
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
    Hint,
    InvalidArgumentError,
    MalformedResponseError,
    RateLimitError,
    ResponseTooLargeError,
    ServiceUnavailableError,
    TrackingMoreError,
    error_class,
    status_class,
)
from airflow_provider_trackingmore.api.formatting import format_value
from airflow_provider_trackingmore.api.validation import is_unicode

log = logging.getLogger(__name__)

T = TypeVar("T")
U = TypeVar("U")
Method = Literal["GET", "POST", "PUT", "DELETE"]

SUCCESS_CODES = frozenset({200, 201, 202})
"""Reference 2.1. 202 means "done, but over the limit": success with a warning."""

HintTexts: TypeAlias = Mapping[Hint, str]
"""Hints in the words of the program that sends the requests; those that are missing keep their own."""


class Repeat(enum.Enum):
    """Whether a request may be sent again after its response was lost."""

    ALWAYS = "always"
    """It is idempotent."""
    UNLESS_SENT = "unless sent"
    """It spends quota each time, or is refused the second time: only if it was not sent, or was refused."""


@dataclass(frozen=True, kw_only=True)
class Request(Generic[T]):
    """An API request.

    :param method: the HTTP method.
    :param path: below the base URL, percent-encoded, with a leading ``/``.
    :param query: query parameters, in order.
    :param body: the JSON body; None for none.
    :param headers: headers in addition to those of every request.
    :param parse: turns the ``data`` of a successful response into the result.
    :param expected_codes: error codes that are results of this request, each with a function that makes the result.
    :param notes: explanations to add to the error for some codes.
    :param repeat: whether the request may be repeated after its response was lost.
    :param subject: the shipment that it is about, for messages; empty if there is no single one.
    :param realtime: whether it is for the realtime endpoint, which may have a rate limit of its own.
    :param max_rows: rows that its response may have below ``items``; None for a response that is not a page.
    :param parse_row: reduces each row to what ``parse`` needs while the page is decoded; it must not raise. None:
        ``parse`` gets the rows as they are.
    """

    method: Method
    path: str
    parse: Callable[[object], T] = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    expected_codes: Mapping[int, Callable[[], T]] = field(default_factory=dict, repr=False)
    notes: Mapping[int, str] = field(default_factory=dict, repr=False)
    repeat: Repeat = Repeat.ALWAYS
    subject: str = ""
    realtime: bool = False
    max_rows: int | None = None
    parse_row: Callable[[object], object] | None = field(default=None, repr=False)

    @property
    def max_bytes(self) -> int:
        """Bytes that its response may have, decompressed."""
        return limits.MAX_RESPONSE_BYTES + limits.MAX_ROW_BYTES * (self.max_rows or 0)

    @property
    def max_values(self) -> int:
        """JSON values that its response may have; they determine how much memory it takes."""
        return limits.MAX_OTHER_VALUES + limits.MAX_ROW_VALUES * (self.max_rows or 0)

    def with_parser(
        self,
        parse: Callable[[object], U],
        *,
        empty: Callable[[], U] | None = None,
        parse_row: Callable[[object], object] | None = None,
    ) -> Request[U]:
        """Return the same request with another result.

        :param parse: turns the ``data`` of a successful response into that result.
        :param empty: returns the result for the codes in ``expected_codes``; None treats these codes as errors.
        :param parse_row: reduces each row to what ``parse`` needs; it must not raise.
        """
        expected_codes = {} if empty is None else dict.fromkeys(self.expected_codes, empty)
        changed = replace(cast("Request[Any]", self), parse=parse, expected_codes=expected_codes, parse_row=parse_row)
        return cast("Request[U]", changed)

    @property
    def target(self) -> str:
        """Path and query, to be appended to the base URL."""
        return f"{self.path}?{urlencode(self.query, safe=',')}" if self.query else self.path

    @property
    def name(self) -> str:
        """The request in messages: method, path, and the shipment if there is one."""
        return f"{self.method} {self.path}" + (f" ({self.subject})" if self.subject else "")

    def encoded_body(self) -> bytes | None:
        """Return the body as it is sent."""
        return None if self.body is None else json.dumps(self.body, separators=(",", ":")).encode()


RequestFlow: TypeAlias = Generator[Request[Any], Any, T]
"""A job of several requests: yields each request, receives its result or its error, and returns the job's result."""


def path(*segments: object) -> str:
    """Join path segments, percent-encoding each.

    :param segments: plain text; ``/`` and all other reserved characters are encoded. None is omitted.
    :return: the path with a leading slash.
    :raises InvalidArgumentError: if a segment is empty, ``.`` or ``..``, which would change the path however they are
        encoded; or if it is not text, or contains a lone surrogate, which has no encoding.
    """
    encoded: list[str] = []
    for segment in segments:
        if segment is None:
            continue
        if not isinstance(segment, str) or segment in ("", ".", "..") or not is_unicode(segment):
            raise InvalidArgumentError(f"{format_value(segment)} cannot be part of a URL: pass a real code or number")
        encoded.append(quote(segment, safe=""))
    return "/" + "/".join(encoded)


def parse_response(
    request: Request[T], status: int, headers: Mapping[str, str], body: bytes, *, hint_texts: HintTexts | None = None
) -> T:
    """Turn a response into the result of its request.

    :param request: the request.
    :param status: the HTTP status. The API sends 200 for errors too; only ``meta.code`` tells.
    :param headers: the headers; names are case-insensitive.
    :param body: the body, decompressed.
    :param hint_texts: hints in the words of the program at hand.
    :return: the result of ``request.parse``.
    :raises TrackingMoreError: anything else, in the class that fits.
    """
    return _ResponseParser(request, status, headers, body, hint_texts or {}).parse()


class _ResponseParser(Generic[T]):
    """One response, and the errors that it may become."""

    def __init__(
        self, request: Request[T], status: int, headers: Mapping[str, str], body: bytes, hint_texts: HintTexts
    ) -> None:
        self._request = request
        self._status = status
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._body = body
        self._hint_texts = hint_texts

    def parse(self) -> T:
        request = self._request
        envelope = self._decode()
        meta = envelope.get("meta") if isinstance(envelope, dict) else None
        code = _parse_code(meta.get("code")) if isinstance(meta, dict) else None
        if self._status >= 400 and (code is None or code in SUCCESS_CODES):
            raise self._refused_without_envelope()
        if not isinstance(envelope, dict) or not isinstance(meta, dict) or code is None:
            raise MalformedResponseError(
                f"{request.name}: {self._description()} instead of a response of TrackingMore's API",
                http_status=self._status,
                **self._hint(Hint.CHECK_BASE_URL),
            )
        if code in request.expected_codes:
            return request.expected_codes[code]()
        if code not in SUCCESS_CODES:
            raise self._refused(code, meta.get("message"))
        if code == 202:
            log.warning("%s: done, but TrackingMore says that the account is over its limit (202)", request.name)
        try:
            return request.parse(envelope.get("data"))
        except ApiError as error:  # success without the record that was requested
            raise type(error)(
                error.message, **self._hint(error.hint), code=error.code, http_status=error.http_status, from_api=True
            ) from None

    def _decode(self) -> object:
        try:
            request = self._request
            return json_rows.loads(
                self._body, max_rows=request.max_rows, max_values=request.max_values, parse_row=request.parse_row
            )
        except json_rows.TooLargeError as error:
            raise ResponseTooLargeError(
                f"{self._request.name}: {error}", http_status=self._status, **self._hint(Hint.CHECK_BASE_URL)
            ) from None
        except (ValueError, RecursionError):
            return None

    def _refused(self, code: int, message: object) -> TrackingMoreError:
        """The API refused the request, in its envelope."""
        cls = error_class(code)
        text = message[:300].rstrip(".") if isinstance(message, str) else ""
        refusal = f"{self._request.name}: TrackingMore answered {code}" + (f" ({text})" if text else "")
        if note := self._request.notes.get(code):
            refusal += f"; {note}"
        return cls(
            refusal,
            code=code,
            http_status=self._status,
            retry_after=self._retry_after(cls),
            from_api=True,
            **self._hint(HINTS.get(cls)),
        )

    def _refused_without_envelope(self) -> TrackingMoreError:
        """An HTTP error without the API's envelope, which says nothing about the key or the shipments."""
        cls = status_class(self._status)
        return cls(
            f"{self._request.name}: {self._description()} did not come from TrackingMore's API",
            code=self._status,
            http_status=self._status,
            retry_after=self._retry_after(cls),
            **self._hint(Hint.CHECK_BASE_URL),
        )

    def _hint(self, hint: Hint | None) -> dict[str, Any]:
        return {"hint": hint, "hint_text": self._hint_texts.get(hint) if hint is not None else None}

    def _retry_after(self, cls: type[TrackingMoreError]) -> float | None:
        """Return the seconds of ``Retry-After``. Its date form needs a clock, and the API is not known to use it."""
        if not issubclass(cls, (RateLimitError, ServiceUnavailableError)):
            return None
        value = self._headers.get("retry-after", "")
        return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else None

    def _description(self) -> str:
        content_type = self._headers.get("content-type", "no content type")
        content = f"{len(self._body)} bytes of {content_type[:60]}" if self._body else "an empty body"
        return f"HTTP {self._status} with {content}"


def _parse_code(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else None
