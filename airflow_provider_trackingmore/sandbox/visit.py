"""One request as an endpoint sees it: who asks, when, with what. Knows no endpoint and no socket."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .accounts import Account
from .carriers import CARRIERS, looks_like_a_number
from .envelope import EMPTY, Answer, Refusal, Wire, write
from .rendering import Renderer
from .store import Key
from .switches import Switchboard
from .world import World

_ORDER_TIME = re.compile(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?.*")


@dataclass(slots=True)
class Visit:
    """One request.

    :param world: everything there is.
    :param account: who asks.
    :param now: clock time in unix seconds.
    :param params: the variable parts of the path, decoded.
    :param query: the query.
    :param body: the bytes.
    :param half_done: whether a fault keeps the second half of a list from being carried out.
    """

    world: World
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
    wire: Wire | None = None

    def refuse(self, code: int) -> None:
        """Answer with an error.

        :param code: a code of the table.
        """
        self.wire = write(Answer(self.nothing, code))

    @property
    def switches(self) -> Switchboard:
        """The positions of the switches."""
        return self.world.switches

    @property
    def renderer(self) -> Renderer:
        """A renderer for this instant."""
        return Renderer(self.switches, self.now)

    @property
    def nothing(self) -> Any:
        """``data`` of an answer that has none."""
        return EMPTY[self.switches["empty_data"]]

    def json(self) -> Any:
        """Read the body.

        :return: what it holds.
        :raises Refusal: it is not JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Refusal(int(self.switches["bad_json"])) from None

    def json_object(self, *, optional: bool = False) -> dict[str, Any]:
        """Read a body that must be an object.

        :param optional: whether the body may be left out.
        :return: the object; an empty one when the body was left out.
        :raises Refusal: it is something else.
        """
        if optional and not self.body.strip():
            return {}
        content = self.json()
        if not isinstance(content, dict):
            raise Refusal(4012)
        return content

    def json_rows(self) -> list[Any]:
        """Read a body that must be a list of at most ``batch_max``.

        :return: the list, not empty.
        :raises Refusal: it is something else, empty, or too long.
        """
        content = self.json()
        if not isinstance(content, list) or not content:
            raise Refusal(4012)
        if len(content) > self.switches.number("batch_max"):
            raise Refusal(4020)
        return content

    def number_of(self, row: Mapping[str, Any]) -> str:
        """Read a tracking number that must be there and look like one.

        :param row: the fields.
        :return: the number.
        :raises Refusal: 4013 or 4014.
        """
        given = row.get("tracking_number")
        if given is None or given == "":
            raise Refusal(4013)
        number = text_of(given)
        if number is None or not looks_like_a_number(number, self.switches["number_format"] == "any"):
            raise Refusal(4014)
        return number

    def key_of(self, row: Mapping[str, Any], carrier_field: str = "carrier_code") -> Key:
        """Read a number and its carrier: first what is required, then the forms.

        :param row: the fields.
        :param carrier_field: the field that holds the carrier.
        :return: carrier code and number.
        :raises Refusal: 4013, 4014 or 4015.
        """
        if row.get("tracking_number") in (None, ""):
            raise Refusal(4013)
        if row.get(carrier_field) in (None, ""):
            raise Refusal(4015)
        return carrier_code(row[carrier_field]), self.number_of(row)

    def charge(self, fifths: int) -> None:
        """Charge the quota.

        :param fifths: the price in fifths of a tracking.
        :raises Refusal: there is not enough of it.
        """
        if not self.account.charge(fifths):
            raise Refusal(int(self.switches["quota_code"]))
        self.charged += fifths / 5

    def note(self, what: str) -> None:
        """Note an effect for the ledger.

        :param what: ``created``, ``updated``, ``deleted`` and the like.
        """
        self.effect[what] = self.effect.get(what, 0) + 1


def text_of(value: Any) -> str | None:
    """Read a text that may have been sent as a number.

    :param value: any JSON value.
    :return: the text; None for lists, objects, true, false and null.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None


def carrier_code(value: Any) -> str:
    """Read a carrier code.

    :param value: any JSON value.
    :return: the code of a carrier that exists.
    :raises Refusal: 4015.
    """
    if not isinstance(value, str) or value not in CARRIERS:
        raise Refusal(4015)
    return value


def order_time(text: str | None) -> float | None:
    """Read ``order_create_time`` in any of the forms of the samples.

    :param text: such as ``2018/9/8 16:51``, ``2018-05-20 12:00`` or unix seconds; None when it was not given.
    :return: unix seconds, local time read as UTC; None when it is not a time.
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
