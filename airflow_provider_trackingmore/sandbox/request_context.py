"""The request context: what an endpoint needs to know about a request, and what it did."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .accounts import Account
from .carriers import CARRIERS, is_tracking_number
from .envelope import EMPTY_DATA, ApiError, ApiResult, HttpResponse, encode
from .rendering import ItemText, Renderer
from .shipments import Key
from .state import SandboxState
from .switches import SwitchPositions

_ORDER_TIME = re.compile(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?.*")


@dataclass(slots=True)
class RequestContext:
    """One request.

    :param state: the state of the sandbox.
    :param account: the account of the API key.
    :param now: clock time of arrival in Unix seconds.
    :param params: the path parameters, decoded.
    :param query: the query.
    :param body: the body.
    :param half_done: whether a fault limits the request to the first half of its shipments.
    """

    state: SandboxState
    account: Account
    now: float
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    effect: dict[str, int] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    charged: float = 0.0
    items: int = 0
    half_done: bool = False
    response: HttpResponse | None = None
    answered: list[tuple[Key, ItemText | None]] = field(default_factory=list)

    def note_answer(self, key: Key, item: ItemText | None) -> None:
        """Note what the response says about a shipment, if answers are remembered.

        :param key: carrier code and number.
        :param item: the item; None if the response says that there is no such shipment.
        """
        if self.state.answers.keep:
            self.answered.append((key, item))

    def fail(self, code: int) -> None:
        """Respond with an error.

        :param code: a code of :data:`.envelope.CODES`.
        """
        self.response = encode(ApiResult(self.empty_data, code))

    @property
    def switches(self) -> SwitchPositions:
        """The switches."""
        return self.state.switches

    @property
    def renderer(self) -> Renderer:
        """A renderer for the time of arrival."""
        return Renderer(self.switches, self.now, self.account.store.texts)

    @property
    def empty_data(self) -> Any:
        """The ``data`` of a response without data."""
        return EMPTY_DATA[self.switches["empty_data"]]

    def json(self) -> Any:
        """Parse the body.

        :return: its content.
        :raises ApiError: the body is not JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise ApiError(int(self.switches["bad_json"])) from None

    def json_object(self, *, optional: bool = False) -> dict[str, Any]:
        """Parse a body that must be an object.

        :param optional: whether the body may be omitted.
        :return: the object; an empty one if the body was omitted.
        :raises ApiError: the body is not an object.
        """
        if optional and not self.body.strip():
            return {}
        content = self.json()
        if not isinstance(content, dict):
            raise ApiError(4012)
        return content

    def json_list(self) -> list[Any]:
        """Parse a body that must be a list of at most ``batch_max`` items.

        :return: the list, not empty.
        :raises ApiError: the body is not a list, is empty, or too long.
        """
        content = self.json()
        if not isinstance(content, list) or not content:
            raise ApiError(4012)
        if len(content) > self.switches.number("batch_max"):
            raise ApiError(4020)
        return content

    def tracking_number(self, row: Mapping[str, Any]) -> str:
        """Validate the tracking number.

        :param row: the fields.
        :return: the number.
        :raises ApiError: 4013 or 4014.
        """
        given = row.get("tracking_number")
        if given is None or given == "":
            raise ApiError(4013)
        number = to_text(given)
        if number is None or not is_tracking_number(number, self.switches["number_format"] == "any"):
            raise ApiError(4014)
        return number

    def shipment_key(self, row: Mapping[str, Any]) -> Key:
        """Validate the tracking number and the carrier: first that they are present, then their format.

        :param row: the fields.
        :return: carrier code and number.
        :raises ApiError: 4013, 4014 or 4015.
        """
        if row.get("tracking_number") in (None, ""):
            raise ApiError(4013)
        if row.get("carrier_code") in (None, ""):
            raise ApiError(4015)
        return validate_carrier_code(row["carrier_code"]), self.tracking_number(row)

    def charge(self, fifths: int) -> None:
        """Charge the quota.

        :param fifths: the price in fifths of a tracking.
        :raises ApiError: not enough quota is left.
        """
        if not self.account.charge(fifths):
            raise ApiError(int(self.switches["quota_code"]))
        self.charged += fifths / 5

    def count_effect(self, effect: str) -> None:
        """Count an effect for the ledger.

        :param effect: ``created``, ``updated``, ``deleted`` and the like.
        """
        self.effect[effect] = self.effect.get(effect, 0) + 1


def to_text(value: Any) -> str | None:
    """Convert a text that may have been sent as a number.

    :param value: any JSON value.
    :return: the text; None for a list, object, boolean or null.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None


def validate_carrier_code(value: Any) -> str:
    """Validate a carrier code.

    :param value: any JSON value.
    :return: the code of a known carrier.
    :raises ApiError: 4015.
    """
    if not isinstance(value, str) or value not in CARRIERS:
        raise ApiError(4015)
    return value


def parse_order_time(text: str | None) -> float | None:
    """Parse ``order_create_time`` in any of the formats of the samples.

    :param text: such as ``2018/9/8 16:51``, ``2018-05-20 12:00`` or Unix seconds; None if it was not given.
    :return: Unix seconds, taking local time as UTC; None if it is no time.
    """
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 11:
        return float(text)
    match = _ORDER_TIME.fullmatch(text.strip())
    if not match:
        return None
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None
