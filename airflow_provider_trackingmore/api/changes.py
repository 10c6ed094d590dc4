"""Validate the changes of an update request and convert them to the API's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.filters import parse_archived
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.reports import Rejection
from airflow_provider_trackingmore.api.shipments import CheckedShipments
from airflow_provider_trackingmore.api.validation import check_text, format_given

CHANGE_FIELDS = (
    "title",
    "logistics_channel",
    "customer_name",
    "customer_email",
    "customer_phone",
    "order_id",
    "destination_code",
)
"""What PUT changes besides ``archived`` and ``status`` (1.3)."""


UPDATE_FIELDS = (*CHANGE_FIELDS, "archived", "status")
"""Everything that can be changed (1.3, 1.7)."""


CHANGE_STATUS = {"delivered": 4, "exception": 7, "restore": 8}
"""The only statuses a user can set (1.3); ``restore`` goes back to the real one."""


def changes_body(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Put changes into the vendor's form.

    :param changes: any of :data:`CHANGE_FIELDS` (text), ``archived`` (bool), ``status`` (a key of
        :data:`CHANGE_STATUS`, or its number).
    :return: what is sent.
    :raises InvalidArgumentError: if there is nothing to change, or a name or value that the vendor does not take.
    """
    body: dict[str, Any] = {}
    for name, value in changes.items():
        if value is None:
            continue
        if name == "archived":
            body[name] = parse_archived(value)
        elif name == "status":
            body[name] = _status_number(value)
        elif name in CHANGE_FIELDS:
            body[name] = check_text(name, value)
        else:
            raise InvalidArgumentError(
                f"{format_given(name)} cannot be changed; what can be: {', '.join(UPDATE_FIELDS)}"
            )
    if not body:
        raise InvalidArgumentError("nothing to change: give at least one field")
    return body


def check_changes(checked: CheckedShipments) -> CheckedShipments:
    """Put the changes of a whole batch into the vendor's form.

    :param checked: shipments with changes as :func:`changes_body` takes them.
    :return: the same with the vendor's values; a shipment whose change is not possible is rejected.
    """
    bodies: dict[ShipmentKey, dict[str, Any]] = {}
    rejected = list(checked.rejected)
    for key, body in checked.bodies.items():
        identity = {"tracking_number": key.tracking_number, "carrier_code": key.carrier_code}
        try:
            bodies[key] = identity | changes_body({name: body[name] for name in body if name not in identity})
        except InvalidArgumentError as error:
            rejected.append(Rejection(*key, None, error.message))
    return CheckedShipments(bodies, tuple(rejected), checked.duplicates)


def _status_number(value: object) -> int:
    for name, number in CHANGE_STATUS.items():
        if isinstance(value, (int, str)) and value in (name, number, str(number)):
            return number
    raise InvalidArgumentError(f"status can only be set to {', '.join(CHANGE_STATUS)}, not {format_given(value)}")
