"""Shipments as users give them, checked before any call. Knows which fields an endpoint takes; sends nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.limits import MAX_NUMBER_LENGTH
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.reports import Rejection
from airflow_provider_trackingmore.api.validation import (
    _DATES,
    _FLAGS,
    check_carrier_code,
    check_field,
    check_tracking_number,
    format_value,
    is_unset,
)

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


def as_shipment_list(shipments: object) -> list[object]:
    """Take one shipment or any iterable of them.

    :param shipments: a mapping, or an iterable of mappings (a list, a generator, an XCom), or a list's result
        ``{"rows": …, "path": None, "trackings": […]}``.
    :return: the shipments, unchecked.
    :raises InvalidArgumentError: if it is a text or not iterable: then nothing in it can be a shipment.
    """
    if shipments is None:
        return []
    if isinstance(shipments, Mapping) and "trackings" in shipments:  # the result of a listing
        if shipments["trackings"] is None:
            raise InvalidArgumentError(
                "shipments were written to a file: read them from its path and pass them as a list"
            )
        return as_shipment_list(shipments["trackings"])
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
    number = check_tracking_number(shipment.get("tracking_number"))
    try:
        return ShipmentKey(check_carrier_code(shipment.get("carrier_code")), number)
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
            if value is None or (name in (*_DATES, *_FLAGS) and is_unset(value)):
                continue
            try:
                body[name] = check_field(name, value)
            except InvalidArgumentError as error:
                raise InvalidArgumentError(f"{key}: {error.message}") from None
        if warn:
            _warn_of(_unused(shipment, fields))
    return body


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
    for position, shipment in enumerate(as_shipment_list(shipments), start=1):
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
