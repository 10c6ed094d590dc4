"""Validate the shipments that users pass, and build the request bodies for them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.formatting import format_list, format_value
from airflow_provider_trackingmore.api.limits import MAX_NUMBER_LENGTH
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.reports import Rejection
from airflow_provider_trackingmore.api.validation import (
    check_carrier_code,
    check_field,
    check_tracking_number,
    is_unset_field,
)

log = logging.getLogger(__name__)

Shipment: TypeAlias = "Mapping[str, object] | ShipmentKey | Tracking"
"""A mapping with ``tracking_number`` and ``carrier_code``, or a value that this package returned."""

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
"""The realtime endpoint has other names for two of the create fields (1.9)."""

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
"""Reference 1.9; those two are accepted by either name."""


def as_shipment_list(shipments: object) -> list[object]:
    """Return shipments as a list.

    :param shipments: a mapping, an iterable of mappings (a list, a generator, an XCom), or the result of a list
        request ``{"rows": ..., "path": None, "trackings": [...]}``.
    :return: the shipments, not validated.
    :raises InvalidArgumentError: if it is text or not iterable.
    """
    if shipments is None:
        return []
    if isinstance(shipments, Mapping) and "trackings" in shipments:
        if shipments["trackings"] is None:
            raise InvalidArgumentError(
                "the shipments were written to a file: read the file at their path and pass its rows as a list"
            )
        return as_shipment_list(shipments["trackings"])
    if isinstance(shipments, (Mapping, ShipmentKey, Tracking)):
        return [shipments]
    if isinstance(shipments, (str, bytes)) or not isinstance(shipments, Iterable):
        raise InvalidArgumentError(
            "shipments must be a list of mappings with tracking_number and carrier_code, "
            f"not {type(shipments).__name__}"
        )
    return list(shipments)


def shipment_key(shipment: object) -> ShipmentKey:
    """Validate the identity of a shipment.

    :param shipment: a mapping with ``tracking_number`` and ``carrier_code``, or a value that this package returned.
    :return: carrier and number.
    :raises InvalidArgumentError: saying what is wrong with either of them.
    """
    fields = _as_mapping(shipment)
    if fields is None:
        raise InvalidArgumentError(
            "a shipment is a mapping with tracking_number and carrier_code, "
            f"not {format_value(shipment, with_type=True)}"
        )
    return check_key(fields.get("carrier_code"), fields.get("tracking_number"))


def shipment_keys(shipments: object) -> list[ShipmentKey]:
    """Validate the identities of several shipments.

    :param shipments: one shipment or an iterable of them.
    :return: carrier and number of each.
    :raises InvalidArgumentError: naming the first invalid shipment.
    """
    return [shipment_key(shipment) for shipment in as_shipment_list(shipments)]


def check_key(carrier_code: object, tracking_number: object) -> ShipmentKey:
    """Validate a carrier and a number.

    :param carrier_code: what the user passed.
    :param tracking_number: what the user passed.
    :raises InvalidArgumentError: saying what is wrong with either of them.
    """
    number = check_tracking_number(tracking_number)
    try:
        return ShipmentKey(check_carrier_code(carrier_code), number)
    except InvalidArgumentError as error:
        raise error.replace(message=f"{error.message} (tracking_number {number})") from None


def shipment_body(shipment: object, fields: Sequence[str], *, warn: bool = False) -> dict[str, str | int]:
    """Build the request body for a shipment.

    :param shipment: as the user passed it.
    :param fields: the optional fields that the endpoint accepts; others are ignored.
    :param warn: whether to log the names of ignored fields.
    :return: the body in the API's format, without unset fields.
    :raises InvalidArgumentError: if the identity or a field is invalid.
    """
    body = build_body(shipment_key(shipment), shipment, fields)
    if warn:
        _warn_of_ignored(_ignored(shipment, fields))
    return body


def build_body(key: ShipmentKey, shipment: object, fields: Sequence[str]) -> dict[str, str | int]:
    """Build the request body for a shipment whose identity has been validated.

    :param key: its identity.
    :param shipment: as the user passed it.
    :param fields: the optional fields that the endpoint accepts; others are ignored.
    :return: the body in the API's format, without unset fields.
    :raises InvalidArgumentError: if a field is invalid.
    """
    body: dict[str, str | int] = {"tracking_number": key.tracking_number, "carrier_code": key.carrier_code}
    if isinstance(shipment, Mapping):
        for name in fields:
            value = shipment.get(name)
            if is_unset_field(name, value):
                continue
            try:
                body[name] = check_field(name, value)
            except InvalidArgumentError as error:
                raise error.replace(message=f"{key}: {error.message}") from None
    return body


@dataclass(frozen=True)
class CheckedShipments:
    """The result of validating several shipments.

    :param bodies: the request body for each valid shipment.
    :param rejected: invalid shipments, with the reason.
    :param duplicates: how many further mentions of the same shipments there were.
    """

    bodies: Mapping[ShipmentKey, dict[str, str | int]]
    rejected: tuple[Rejection, ...]
    duplicates: int


def check_shipments(shipments: object, fields: Sequence[str] = (), *, warn: bool = False) -> CheckedShipments:
    """Validate several shipments, each once. An invalid one does not affect the others.

    :param shipments: one shipment or an iterable of them.
    :param fields: the optional fields that the endpoint accepts.
    :param warn: whether to log the names of ignored fields.
    :return: valid and invalid shipments. If a shipment is mentioned more than once, in any spelling, the first
        mention counts.
    :raises InvalidArgumentError: only if ``shipments`` is not a list of anything.
    """
    bodies: dict[ShipmentKey, dict[str, str | int]] = {}
    rejected: list[Rejection] = []
    ignored: set[str] = set()
    seen: set[ShipmentKey] = set()
    duplicates = 0
    for position, shipment in enumerate(as_shipment_list(shipments), start=1):
        try:
            key = shipment_key(shipment)
            body = build_body(key, shipment, fields)
        except InvalidArgumentError as error:
            rejected.append(_rejection(position, shipment, error))
            continue
        normalized = key.normalized
        if normalized in seen:
            duplicates += 1
            continue
        seen.add(normalized)
        bodies[key] = body
        if warn:
            ignored |= _ignored(shipment, fields)
    _warn_of_ignored(ignored)
    return CheckedShipments(bodies, tuple(rejected), duplicates)


def _as_mapping(shipment: object) -> Mapping[Any, object] | None:
    if isinstance(shipment, (ShipmentKey, Tracking)):
        return {"carrier_code": shipment.carrier_code, "tracking_number": shipment.tracking_number}
    return shipment if isinstance(shipment, Mapping) else None


def _rejection(position: int, shipment: object, error: InvalidArgumentError) -> Rejection:
    fields = _as_mapping(shipment) or {}
    return Rejection(
        _given_text(fields.get("carrier_code")),
        _given_text(fields.get("tracking_number")),
        None,
        f"shipment {position}: {error}",
    )


def _ignored(shipment: object, fields: Sequence[str]) -> set[str]:
    known = {*fields, "tracking_number", "carrier_code"}
    return {format_value(name) for name in shipment if name not in known} if isinstance(shipment, Mapping) else set()


def _warn_of_ignored(names: set[str]) -> None:
    if names:
        log.warning("Ignored fields, which this endpoint does not accept: %s", format_list(sorted(names)))


def _given_text(value: object) -> str:
    """The identity of an invalid shipment as passed: text and numbers only, since the rest may be personal data."""
    if isinstance(value, str):
        return "".join(character for character in value[:MAX_NUMBER_LENGTH] if character.isprintable())
    return format_value(value) if isinstance(value, (int, float)) else ""
