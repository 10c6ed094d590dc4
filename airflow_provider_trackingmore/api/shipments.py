"""Shipments as users give them, checked before any call. Knows which fields an endpoint takes; sends nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from airflow_provider_trackingmore.api.dates import order_time, ship_date
from airflow_provider_trackingmore.api.envelope import is_unicode
from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.limits import MAX_NUMBER_LENGTH
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.reports import Rejection

log = logging.getLogger(__name__)

Shipment: TypeAlias = "Mapping[str, Any] | ShipmentKey | Tracking"
"""A mapping with ``tracking_number`` and ``carrier_code``, or what this package itself returned."""

CREATE_FIELDS = (
    "destination_code",
    "title",
    "logistics_channel",
    "customer_name",
    "customer_email",
    "customer_phone",
    "order_id",
    "comment",
    "order_create_time",
    "tracking_ship_date",
    "tracking_postal_code",
    "tracking_account_number",
    "tracking_destination_country",
    "lang",
    "auto_correct",
)
"""Reference 1.1."""

REALTIME_NAMES = {"order_id": "order", "tracking_destination_country": "specialNumberDestination"}
"""What the realtime endpoint calls two of the create fields (1.9)."""

REALTIME_FIELDS = (
    "destination_code",
    "tracking_ship_date",
    "tracking_postal_code",
    "tracking_account_number",
    "order_create_time",
    "lang",
    "auto_correct",
    "comment",
    *REALTIME_NAMES,
    *REALTIME_NAMES.values(),
)
"""Reference 1.9: those two are taken by either name."""

_SLUG = re.compile(r"[0-9A-Za-z_-]{1,100}")
"""A carrier code, as the vendor's own SDK checks it (reference 1.0)."""

_DATES: Mapping[str, tuple[Callable[[object], str | None], str]] = {
    "order_create_time": (order_time, "a time: give a datetime, or text such as 2026-11-25T16:51+01:00"),
    "tracking_ship_date": (ship_date, "a date: give a date, or text such as 2026-11-25"),
}
_FLAGS = ("auto_correct", "archived")
_FLAG_VALUES: Mapping[object, int] = {False: 0, True: 1, "0": 0, "1": 1, "false": 0, "true": 1}


def not_given(value: object) -> bool:
    """Whether a value means that there is none: None, or what a template makes of it.

    :param value: what the user gave.
    :return: True for None, blank text and the word "None".
    """
    return value is None or (isinstance(value, str) and value.strip().casefold() in ("", "none"))


def as_list(shipments: object) -> list[object]:
    """Take one shipment or any iterable of them.

    :param shipments: a mapping, or an iterable of mappings (a list, a generator, an XCom), or a list's result
        ``{"rows": …, "path": None, "trackings": […]}``.
    :return: the shipments, unchecked.
    :raises InvalidArgumentError: if it is a text or not iterable: then nothing in it can be a shipment.
    """
    if shipments is None:
        return []
    if isinstance(shipments, Mapping) and "trackings" in shipments:  # the result of ListTrackingsOperator
        if shipments["trackings"] is None:
            raise InvalidArgumentError(
                "shipments were written to a file: read them from its path and pass them as a list"
            )
        return as_list(shipments["trackings"])
    if isinstance(shipments, (Mapping, ShipmentKey, Tracking)):
        return [shipments]
    if isinstance(shipments, (str, bytes)) or not isinstance(shipments, Iterable):
        raise InvalidArgumentError(
            "shipments must be a list of mappings with tracking_number and carrier_code, "
            f"not {type(shipments).__name__}"
            + (
                " (a template gives text unless the DAG has render_template_as_native_obj=True)"
                if isinstance(shipments, str)
                else ""
            )
        )
    return list(shipments)


def check_number(value: object) -> str:
    """Check a tracking number.

    :param value: what the user gave.
    :return: the number without surrounding white space.
    :raises InvalidArgumentError: if it is missing, not a text, too long, or holds control characters.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InvalidArgumentError("tracking_number is missing")
    if not isinstance(value, str):
        raise InvalidArgumentError(
            f"tracking_number must be text, not {type(value).__name__} {format_value(value)}: put it in quotes"
        )
    number = value.strip()
    if len(number) > MAX_NUMBER_LENGTH:
        raise InvalidArgumentError(
            f"tracking_number {format_value(number)} has {len(number)} characters, more than {MAX_NUMBER_LENGTH}"
        )
    if not number.isprintable() or number in (".", ".."):
        raise InvalidArgumentError(f"tracking_number {format_value(number)} holds characters that no carrier uses")
    return number


def check_carrier(value: object, argument: str = "carrier_code") -> str:
    """Check a carrier code.

    :param value: what the user gave.
    :param argument: its name in messages.
    :return: the code without surrounding white space.
    :raises InvalidArgumentError: if it is missing, not a text, or not of a code's form.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InvalidArgumentError(
            f"{argument} is missing: list_carriers() has the codes, detect_carrier() proposes one"
        )
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{argument} must be text, not {type(value).__name__} {format_value(value)}")
    if not _SLUG.fullmatch(value.strip()):
        raise InvalidArgumentError(
            f"{argument} {format_value(value)} is not a code like 'usps' or 'china-post': list_carriers() has them"
        )
    return value.strip()


def shipment_key(shipment: object) -> ShipmentKey:
    """Identify a shipment.

    :param shipment: a mapping with ``tracking_number`` and ``carrier_code``, or what this package returned.
    :return: carrier and number.
    :raises InvalidArgumentError: saying which of the two is wrong and how.
    """
    if isinstance(shipment, (ShipmentKey, Tracking)):
        shipment = {"carrier_code": shipment.carrier_code, "tracking_number": shipment.tracking_number}
    if not isinstance(shipment, Mapping):
        raise InvalidArgumentError(
            "a shipment is a mapping with tracking_number and carrier_code, "
            f"not {type(shipment).__name__} {format_value(shipment)}".rstrip()
        )
    number = check_number(shipment.get("tracking_number"))
    try:
        return ShipmentKey(check_carrier(shipment.get("carrier_code")), number)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{error.message} (tracking_number {number})") from None


def shipment_body(shipment: object, fields: Sequence[str], *, warn: bool = False) -> dict[str, Any]:
    """Build what is sent for a shipment.

    :param shipment: as the user gave it.
    :param fields: the optional fields that the endpoint takes; others are left out.
    :param warn: whether fields that are not taken are named in the log.
    :return: the body, with every value in the vendor's form, without unset fields.
    :raises InvalidArgumentError: if the identity or a field cannot be sent.
    """
    key = shipment_key(shipment)
    body: dict[str, Any] = {"tracking_number": key.tracking_number, "carrier_code": key.carrier_code}
    if isinstance(shipment, Mapping):
        for name in fields:
            value = shipment.get(name)
            if value is None or (name in (*_DATES, *_FLAGS) and not_given(value)):
                continue
            try:
                body[name] = check_field(name, value)
            except InvalidArgumentError as error:
                raise InvalidArgumentError(f"{key}: {error.message}") from None
        if warn:
            _warn_of(_unused(shipment, fields))
    return body


def check_field(name: str, value: object) -> str | int:
    """Put the value of a field into the vendor's form.

    :param name: the field.
    :param value: what the user gave.
    :return: what is sent: flags as 1 or 0, the two dates in the vendor's form, everything else as text, numbers too.
    :raises InvalidArgumentError: if it has no such form.
    """
    if name in _FLAGS:
        flag = value.strip().casefold() if isinstance(value, str) else value
        if isinstance(flag, (int, str)) and flag in _FLAG_VALUES:
            return _FLAG_VALUES[flag]
        raise InvalidArgumentError(f"{name} must be True or False, not {format_value(value) or type(value).__name__}")
    if name in _DATES:
        write, what = _DATES[name]
        written = write(value)
        if written is None:
            raise InvalidArgumentError(f"{name} {format_value(value) or type(value).__name__} is not {what}")
        return written
    return check_text(name, value)


def check_text(name: str, value: object) -> str:
    """Check a text. Numbers become their digits, because the vendor documents texts.

    :param name: what it is, for the message.
    :param value: what the user gave.
    :return: the text.
    :raises InvalidArgumentError: if it is neither text nor a finite number.
    """
    if isinstance(value, str):
        if not is_unicode(value):
            raise InvalidArgumentError(f"{name} holds broken characters: read its source as the encoding it has")
        return value
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        number = Decimal(value)
        # Numbers that large are mistakes. A column of a table with gaps has 5.0 where 5 was meant.
        if not number.is_finite() or number.adjusted() >= 100:
            raise InvalidArgumentError(f"{name} is not a number that can be sent; leave it out instead")
        return str(int(value)) if value == int(value) else str(value)
    raise InvalidArgumentError(f"{name} must be text, not {type(value).__name__}")


@dataclass(frozen=True)
class CheckedShipments:
    """What of a batch can be sent.

    :param bodies: shipment -> what is sent for it, in the order given, each once.
    :param rejected: what cannot be sent, with the reason.
    :param duplicates: how many further mentions there were.
    """

    bodies: Mapping[ShipmentKey, dict[str, Any]]
    rejected: tuple[Rejection, ...]
    duplicates: int


def check_shipments(shipments: object, fields: tuple[str, ...] = (), *, warn: bool = False) -> CheckedShipments:
    """Check a whole batch: one bad shipment costs none of the others.

    :param shipments: one shipment or an iterable of them.
    :param fields: the optional fields that the endpoint takes.
    :param warn: whether fields that are not taken are named in the log.
    :return: what can be sent and what cannot. The first mention of a shipment counts.
    :raises InvalidArgumentError: only if ``shipments`` as a whole is not a list of anything.
    """
    bodies: dict[ShipmentKey, dict[str, Any]] = {}
    rejected: list[Rejection] = []
    unused: set[str] = set()
    duplicates = 0
    for position, shipment in enumerate(as_list(shipments), start=1):
        try:
            key, body = shipment_key(shipment), shipment_body(shipment, fields)
        except InvalidArgumentError as error:
            given = shipment if isinstance(shipment, Mapping) else {}
            if isinstance(shipment, (ShipmentKey, Tracking)):
                given = {"carrier_code": shipment.carrier_code, "tracking_number": shipment.tracking_number}
            rejected.append(
                Rejection(
                    _given(given.get("carrier_code")),
                    _given(given.get("tracking_number")),
                    None,
                    f"shipment {position}: {error.message}",
                )
            )
            continue
        if key in bodies:
            duplicates += 1
            continue
        bodies[key] = body
        if warn and isinstance(shipment, Mapping):
            unused |= _unused(shipment, fields)
    _warn_of(unused)
    return CheckedShipments(bodies, tuple(rejected), duplicates)


def _unused(shipment: Mapping[Any, object], fields: Sequence[str]) -> set[str]:
    known = {*fields, "tracking_number", "carrier_code"}
    return {format_value(name) for name in shipment if name not in known}


def _warn_of(unused: Iterable[str]) -> None:
    if names := sorted(unused)[:20]:
        log.warning("Not sent, because this call has no such fields: %s", ", ".join(names))


def _given(value: object) -> str:
    """What stood in an argument, short enough for a report. Only a text or a number: the rest may be personal data."""
    if isinstance(value, str):
        return "".join(ch for ch in value[:MAX_NUMBER_LENGTH] if ch.isprintable())
    return format_value(value)


def format_value(value: object) -> str:
    """Put a value into a message: short, on one line. Mappings and lists may hold personal data and are not shown.

    :param value: what a user gave.
    :return: the value as Python writes it; empty for what is neither text nor number.
    """
    if isinstance(value, int) and value.bit_length() > 200:
        return "(more than 60 digits)"
    if isinstance(value, (str, int, float)):
        literal = ascii(value)
        return literal if len(literal) <= 60 else literal[:57] + "..."
    return ""
