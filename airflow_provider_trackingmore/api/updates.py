"""Validate the changes of update requests, and convert them to the API's format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypedDict

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.filters import format_archived
from airflow_provider_trackingmore.api.formatting import format_list, format_value
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.reports import Rejection
from airflow_provider_trackingmore.api.shipments import CheckedShipments
from airflow_provider_trackingmore.api.validation import check_text


class Changes(TypedDict, total=False):
    """What an update can change (1.3, 1.7). ``status`` "restore" returns to the carrier's own status."""

    title: str
    logistics_channel: str
    customer_name: str
    customer_email: str
    customer_phone: str
    order_id: str | int
    destination_code: str
    archived: bool
    status: Literal["delivered", "exception", "restore"]


TEXT_FIELDS = (
    "title",
    "logistics_channel",
    "customer_name",
    "customer_email",
    "customer_phone",
    "order_id",
    "destination_code",
)
"""The fields of PUT that are texts (1.3)."""

UPDATE_FIELDS = (*TEXT_FIELDS, "archived", "status")
"""Everything that an update can change (1.3, 1.7)."""

STATUS_NUMBERS = {"delivered": 4, "exception": 7, "restore": 8}
"""The only statuses that a user can set (1.3)."""


def changes_body(changes: Mapping[str, object]) -> dict[str, str | int]:
    """Convert changes to the API's format.

    :param changes: keys of :class:`Changes`; ``status`` may also be its number.
    :return: the request body.
    :raises InvalidArgumentError: if there is nothing to change, or a field or value that the API does not accept.
    """
    body: dict[str, str | int] = {}
    for name, value in changes.items():
        if value is None:
            continue
        if name == "archived":
            body[name] = format_archived(value)
        elif name == "status":
            body[name] = _status_number(value)
        elif name in TEXT_FIELDS:
            body[name] = check_text(name, value)
        else:
            raise InvalidArgumentError(
                f"{format_value(name)} cannot be changed; fields that can be: {', '.join(UPDATE_FIELDS)}"
            )
    if not body:
        raise InvalidArgumentError("nothing to change: pass at least one field")
    return body


def check_changes(checked: CheckedShipments) -> CheckedShipments:
    """Convert the changes of several shipments to the API's format.

    :param checked: shipments with changes as :func:`changes_body` accepts them.
    :return: the same with the API's values; a shipment with an invalid change is rejected.
    """
    bodies: dict[ShipmentKey, dict[str, str | int]] = {}
    rejected = list(checked.rejected)
    for key, body in checked.bodies.items():
        identity: dict[str, str | int] = {"tracking_number": key.tracking_number, "carrier_code": key.carrier_code}
        try:
            bodies[key] = identity | changes_body({name: body[name] for name in body if name not in identity})
        except InvalidArgumentError as error:
            rejected.append(Rejection(*key, None, str(error)))
    return CheckedShipments(bodies, tuple(rejected), checked.duplicates)


def apply_changes(shipments: Iterable[object], changes: Mapping[str, object]) -> list[object]:
    """Give several shipments the same changes, in place of their own fields.

    :param shipments: as the user passed them. What is not a shipment is returned as it is, to be rejected later.
    :param changes: keys of :class:`Changes`.
    :return: the identity of each shipment, with the changes.
    :raises InvalidArgumentError: if the changes are invalid.
    """
    if unknown := sorted(set(changes) - set(UPDATE_FIELDS)):
        names = format_list(
            [name if name.isidentifier() and len(name) <= 60 else format_value(name) for name in unknown]
        )
        raise InvalidArgumentError(f"changes cannot contain {names}; the fields are {', '.join(UPDATE_FIELDS)}")
    try:
        changes_body(changes)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"changes: {error.message}") from None
    return [_apply_changes_to(shipment, changes) for shipment in shipments]


def _apply_changes_to(shipment: object, changes: Mapping[str, object]) -> object:
    names = ("tracking_number", "carrier_code")
    if isinstance(shipment, (ShipmentKey, Tracking)):
        return {**changes, **{name: getattr(shipment, name) for name in names}}
    if isinstance(shipment, Mapping):
        return {**changes, **{name: shipment.get(name) for name in names}}
    return shipment


def _status_number(value: object) -> int:
    for name, number in STATUS_NUMBERS.items():
        if isinstance(value, (int, str)) and value in (name, number, str(number)):
            return number
    raise InvalidArgumentError(f"status can only be set to {', '.join(STATUS_NUMBERS)}, not {format_value(value)}")
