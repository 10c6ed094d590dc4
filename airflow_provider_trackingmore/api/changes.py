"""Validate the changes of update requests, and convert them to the API's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.filters import format_archived
from airflow_provider_trackingmore.api.formatting import format_value
from airflow_provider_trackingmore.api.models import ShipmentKey
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


def changes_body(changes: Mapping[str, object]) -> dict[str, Any]:
    """Convert changes to the API's format.

    :param changes: keys of :class:`Changes`; ``status`` may also be its number.
    :return: the request body.
    :raises InvalidArgumentError: if there is nothing to change, or a field or value that the API does not accept.
    """
    body: dict[str, Any] = {}
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
    bodies: dict[ShipmentKey, dict[str, Any]] = {}
    rejected = list(checked.rejected)
    for key, body in checked.bodies.items():
        identity = {"tracking_number": key.tracking_number, "carrier_code": key.carrier_code}
        try:
            bodies[key] = identity | changes_body({name: body[name] for name in body if name not in identity})
        except InvalidArgumentError as error:
            rejected.append(Rejection(*key, None, str(error)))
    return CheckedShipments(bodies, tuple(rejected), checked.duplicates)


def _status_number(value: object) -> int:
    for name, number in STATUS_NUMBERS.items():
        if isinstance(value, (int, str)) and value in (name, number, str(number)):
            return number
    raise InvalidArgumentError(f"status can only be set to {', '.join(STATUS_NUMBERS)}, not {format_value(value)}")
