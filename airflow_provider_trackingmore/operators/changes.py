"""The same changes for many shipments: checked once, put to each of them. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.filters import UPDATE_FIELDS, changes_body
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.shipments import format_value
from airflow_provider_trackingmore.operators.rendered import options


def with_changes(shipments: Iterable[object], given: object) -> list[Any]:
    """Put changes to shipments, in place of whatever else stands in them.

    :param shipments: as the user gave them.
    :param given: the changes as the user gave them.
    :return: identity and changes of each shipment; what is no shipment, as it is.
    :raises InvalidArgumentError: if a change is not possible: not once for each shipment, but once.
    """
    changes = options("changes", given)
    if wrong := sorted(set(changes) - set(UPDATE_FIELDS)):
        named = ", ".join(
            name if name.isidentifier() and len(name) <= 60 else format_value(name) for name in wrong[:20]
        )
        raise InvalidArgumentError(f"changes cannot hold {named}; what can be changed: {', '.join(UPDATE_FIELDS)}")
    try:
        changes_body(changes)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"changes: {error.message}") from None
    return [_with(shipment, changes) for shipment in shipments]


def _with(shipment: object, changes: Mapping[str, Any]) -> object:
    names = ("tracking_number", "carrier_code")
    if isinstance(shipment, (ShipmentKey, Tracking)):
        return {**changes, **{name: getattr(shipment, name) for name in names}}
    if isinstance(shipment, Mapping):
        return {**changes, **{name: shipment.get(name) for name in names}}
    return shipment
