"""The vendor's JSON envelope and its table of codes (reference 2.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_BAD_REQUEST = "Bad Request"
_NO_CONTENT = "No Content"

CODES: Mapping[int, tuple[str, str]] = {
    200: ("Success", "Success"),
    201: ("Created", "The request was successful and a resource was created."),
    202: (_BAD_REQUEST, "The request was successful but exceeds the limit."),
    401: ("Unauthorized", "The key is missing or has no permission."),
    402: ("Payment Required", "Payment is required."),
    403: ("Forbidden", "Access denied."),
    404: ("Not Found", "Page does not exist."),
    405: ("Method Not Allowed", "This method is not allowed for the page."),
    409: ("Conflict", "The request conflicts with another one."),
    429: ("Too Many Requests", "Exceeded API limits. Pause requests, wait two minute, and try again."),
    500: ("Server error", "Server error."),
    503: ("Service Unavailable", "Service is unavailable."),
    4001: ("Unauthorized", "Invalid API key."),
    4002: ("Unauthorized", "API key has been deleted."),
    4012: (_BAD_REQUEST, "The request was not understood or a parameter is missing."),
    4013: (_BAD_REQUEST, "Tracking_number is required."),
    4014: (_BAD_REQUEST, "Value of tracking_number is invalid."),
    4015: (_BAD_REQUEST, "Value of carrier_code is invalid."),
    4016: (_BAD_REQUEST, "Tracking already exists."),
    4017: (_BAD_REQUEST, "Tracking does not exist."),
    4018: (_BAD_REQUEST, "This function needs activation, contact support."),
    4019: (_BAD_REQUEST, "The balance is too low."),
    4020: (_BAD_REQUEST, "Too many trackings were submitted at a time."),
    4021: (_BAD_REQUEST, "The quota is used up or the trial is over."),
    4031: (
        _NO_CONTENT,
        "The request was successful but the response is empty. "
        "Please try POST /trackings/post and then GET /trackings/get",
    ),
    4032: (_NO_CONTENT, "The carrier cannot be detected."),
    4033: (_NO_CONTENT, "Value of status is invalid."),
}

EMPTY_DATA: Mapping[str, list[Any] | dict[str, Any] | None] = {"list": [], "object": {}, "null": None}


class JsonText(str):
    """Data that is JSON already, in ASCII."""

    __slots__ = ()


class ApiError(Exception):
    """An error response of the API.

    :param code: the ``meta.code``, one of :data:`CODES`.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class ApiResult:
    """The result of an endpoint, before it is encoded.

    :param data: the ``data`` of the envelope; JSON already if it is :class:`JsonText`.
    :param code: ``meta.code``.
    :param items: how many shipments the request was about, for the ledger.
    :param message: a message other than that of :data:`CODES`.
    :param short_meta: whether ``meta`` holds the code alone.
    """

    data: Any
    code: int = 200
    items: int = 0
    message: str | None = None
    short_meta: bool = False


@dataclass(slots=True)
class HttpResponse:
    """A response as it is sent.

    :param status: HTTP status.
    :param body: the body.
    :param code: ``meta.code``; None if the body is not the vendor's envelope.
    :param content_type: the ``Content-Type`` header.
    :param headers: further headers.
    """

    status: int
    body: bytes
    code: int | None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def build_meta(code: int, message: str | None = None) -> dict[str, Any]:
    """Build the ``meta`` part.

    :param code: a code from :data:`CODES`, or one that is unknown.
    :param message: a message other than that of :data:`CODES`.
    :return: ``code``, ``type`` and ``message``.
    """
    kind, text = CODES.get(code, ("Bad Request", "Unknown code."))
    return {"code": code, "type": kind, "message": message or text}


def encode(result: ApiResult) -> HttpResponse:
    """Encode a result. The HTTP status is 200 whatever the code is, as in v2.

    :param result: the result.
    :return: the response.
    """
    meta = {"code": result.code} if result.short_meta else build_meta(result.code, result.message)
    data = result.data if isinstance(result.data, JsonText) else json.dumps(result.data, separators=(",", ":"))
    body = f'{{"meta":{json.dumps(meta, separators=(",", ":"))},"data":{data}}}'
    return HttpResponse(200, body.encode("ascii"), result.code)
