"""``shipment_changes``: read the changes that have triggered a DAG run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypedDict, cast

EVENT_SOURCE = "trackingmore.shipment_changes"
"""Marks the events of this package, since anybody may create events of an asset."""
EVENT_VERSION = 1


class ShipmentChange(TypedDict):
    """A change of a shipment's status, without personal data.

    ``id`` is the same if the change is reported again, and ``sequence`` increases with each change that a trigger
    reports. ``carrier_code`` and ``tracking_number`` are in TrackingMore's spelling, and ``order_id`` is its order
    field. ``previous_status`` is None if the shipment was unknown before. ``delivered_at`` and ``last_update`` are
    ISO 8601 local times of the place, without zone; ``observed_at`` is ISO 8601 in UTC.
    """

    id: str
    carrier_code: str
    tracking_number: str
    order_id: str | None
    status: str
    previous_status: str | None
    substatus: str | None
    delivered_at: str | None
    last_update: str | None
    observed_at: str
    sequence: int


_TEXTS = ("id", "carrier_code", "tracking_number", "status", "observed_at")
_OPTIONAL_TEXTS = ("order_id", "previous_status", "substatus", "delivered_at", "last_update")


def shipment_changes(triggering_asset_events: object) -> list[ShipmentChange]:
    """Return the changes that have triggered a DAG run.

    Airflow may deliver the events of a run in any order, and more than once. So the changes are sorted, and a change
    with the same ``id`` as another is returned once. Events from other sources are ignored.

    :param triggering_asset_events: ``triggering_asset_events`` from the task's context: asset -> its events. A list of
        events is accepted too.
    :return: the changes, the oldest first; empty if there are none.
    """
    found: dict[str, ShipmentChange] = {}
    for event in _events(triggering_asset_events):
        for change in _changes(event):
            known = found.setdefault(change["id"], change)
            if change["sequence"] < known["sequence"]:
                found[change["id"]] = change
    return sorted(found.values(), key=lambda change: (change["sequence"], change["id"]))


def event_payload(changes: list[ShipmentChange]) -> dict[str, object]:
    """Return the payload of an event.

    :param changes: its changes.
    :return: ``source``, ``version`` and ``changes``.
    """
    return {"source": EVENT_SOURCE, "version": EVENT_VERSION, "changes": changes}


def _events(value: object) -> Iterator[object]:
    """Yield the events of all assets. In some versions of Airflow their mapping is not a ``Mapping``."""
    if callable(getattr(value, "values", None)):
        value = value.values()  # type: ignore[attr-defined]
    for item in value if isinstance(value, Iterable) and not isinstance(value, str | bytes) else ():
        if isinstance(item, Iterable) and not isinstance(item, str | bytes | Mapping) and not hasattr(item, "extra"):
            yield from item
        else:
            yield item


def _changes(event: object) -> Iterator[ShipmentChange]:
    extra = event.get("extra") if isinstance(event, Mapping) else getattr(event, "extra", None)
    payload = extra.get("payload") if isinstance(extra, Mapping) else None
    if not isinstance(payload, Mapping) or payload.get("source") != EVENT_SOURCE:
        return
    changes = payload.get("changes")
    for change in changes if isinstance(changes, list) else ():
        if _is_change(change):
            yield cast(ShipmentChange, dict(change))


def _is_change(change: object) -> bool:
    return (
        isinstance(change, Mapping)
        and all(isinstance(change.get(name), str) for name in _TEXTS)
        and all(isinstance(change.get(name), str | None) for name in _OPTIONAL_TEXTS)
        and type(change.get("sequence")) is int
    )
