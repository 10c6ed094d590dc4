"""The vendor's envelope and its code table (reference 2.1). Knows no endpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_BAD = "Bad Request"
_NONE = "No Content"

CODES: Mapping[int, tuple[str, str]] = {
    200: ("Success", "Success"),
    201: ("Created", "The request was successful and a resource was created."),
    202: (_BAD, "The request was successful but exceeds the limit."),
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
    4012: (_BAD, "The request was not understood or a parameter is missing."),
    4013: (_BAD, "Tracking_number is required."),
    4014: (_BAD, "Value of tracking_number is invalid."),
    4015: (_BAD, "Value of carrier_code is invalid."),
    4016: (_BAD, "Tracking already exists."),
    4017: (_BAD, "Tracking does not exist."),
    4018: (_BAD, "This function needs activation, contact support."),
    4019: (_BAD, "The balance is too low."),
    4020: (_BAD, "Too many trackings were submitted at a time."),
    4021: (_BAD, "The quota is used up or the trial is over."),
    4031: (
        _NONE,
        "The request was successful but the response is empty. "
        "Please try POST /trackings/post and then GET /trackings/get",
    ),
    4032: (_NONE, "The carrier cannot be detected."),
    4033: (_NONE, "Value of status is invalid."),
}

EMPTY: Mapping[str, list[Any] | dict[str, Any] | None] = {"list": [], "object": {}, "null": None}


class Refusal(Exception):
    """The API's way to say no.

    :param code: a code of the table, which becomes ``meta.code``.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint has to say, before it is written down.

    :param data: the ``data`` of the envelope.
    :param code: ``meta.code``.
    :param items: how many shipments the answer is about, for the ledger.
    :param message: a message other than the table's.
    :param short_meta: ``meta`` holds the code alone.
    """

    data: Any
    code: int = 200
    items: int = 0
    message: str | None = None
    short_meta: bool = False


@dataclass(slots=True)
class Wire:
    """An answer as it goes over the wire.

    :param status: HTTP status.
    :param body: the bytes.
    :param code: ``meta.code``; None when the body is not the vendor's envelope.
    :param content_type: the header of that name.
    :param headers: further headers.
    """

    status: int
    body: bytes
    code: int | None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def meta(code: int, message: str | None = None) -> dict[str, Any]:
    """Build the ``meta`` part.

    :param code: a code of the table.
    :param message: a message other than the table's.
    :return: ``code``, ``type`` and ``message``.
    """
    kind, text = CODES[code]
    return {"code": code, "type": kind, "message": message or text}


def write(answer: Answer) -> Wire:
    """Write an answer down: HTTP 200 whatever the code says, as v2 does.

    :param answer: the answer.
    :return: status, bytes and code.
    """
    head = {"code": answer.code} if answer.short_meta else meta(answer.code, answer.message)
    body = json.dumps({"meta": head, "data": answer.data}, separators=(",", ":"))
    return Wire(200, body.encode("ascii"), answer.code)
