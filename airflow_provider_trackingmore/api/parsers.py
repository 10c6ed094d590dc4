"""What an answer's ``data`` means for the shipments that were sent. Knows the odd forms of reference 1.1-1.13; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_provider_trackingmore.api.errors import MalformedResponseError, TrackingNotFoundError
from airflow_provider_trackingmore.api.json_values import parse_int, parse_object, parse_objects, parse_text
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus, Tracking, parse_status
from airflow_provider_trackingmore.api.reports import BatchResponse, Rejection, match

ALREADY_EXISTS = 4016
DOES_NOT_EXIST = frozenset({4017, 4031})
_CARRIED_OUT = frozenset({200, 201, 202})


def parse_existing(key: ShipmentKey) -> Tracking:
    """The shipment had been registered before; the answer says no more than that."""
    return Tracking(key.carrier_code, key.tracking_number, created=False)


def parse_created(key: ShipmentKey, data: object) -> Tracking:
    """Read a single create: success without a record, or with a status past pending, means it had been there (1.1)."""
    if not data:
        return parse_existing(key)
    tracking = _with_identity(key, Tracking.from_payload(data))
    return replace(tracking, created=_is_new(tracking.status))


def parse_tracking(key: ShipmentKey, data: object) -> Tracking:
    """Read a single tracking; success without a record means that it is not there."""
    if not data:
        raise TrackingNotFoundError(f"{key} is not registered with TrackingMore: run CreateTrackingsOperator first")
    return _with_identity(key, Tracking.from_payload(data))


def parse_updated(key: ShipmentKey, data: object) -> Tracking:
    """Read an update; an answer without a record still means that it was carried out."""
    return _with_identity(key, Tracking.from_payload(data)) if data else Tracking(key.carrier_code, key.tracking_number)


def parse_realtime(key: ShipmentKey, data: object) -> Tracking:
    """Read a realtime answer: a list of one under ``items`` (1.9)."""
    items = data.get("items") if isinstance(data, dict) and "items" in data else data
    if isinstance(items, list) and items:
        items = items[0]
    if not items:
        raise TrackingNotFoundError(f"{key}: the carrier returned nothing for it")
    return _with_identity(key, Tracking.from_payload(items))


def parse_batch_created(sent: Sequence[ShipmentKey], data: object) -> BatchResponse:
    """Read ``POST /trackings/batch``: accepted ones under ``trackings``, refused ones under ``errors`` with a code."""
    record = parse_object(data)
    added = _index_by_key(parse_objects(record.get("trackings")))
    # A shipment that stands in both lists is registered: its record is the proof.
    refused = {key: row for key, row in _index_by_key(parse_objects(record.get("errors"))).items() if key not in added}
    found = match(sent, [*added, *refused])
    new = {key for key, row in added.items() if _is_new(parse_status(row.get("status")))}
    done = tuple(found[key] for key in added if key in found and key in new)
    unchanged = [found[key] for key in added if key in found and key not in new]
    corrected = tuple(
        (found[key], key)
        for key in added
        if key in found and key.carrier_code.casefold() not in ("", found[key].carrier_code.casefold())
    )
    rejected: list[Rejection] = []
    for mentioned, row in refused.items():
        if mentioned not in found:
            continue
        code = parse_int(row.get("code"))
        if code == ALREADY_EXISTS:
            unchanged.append(found[mentioned])
        else:
            rejected.append(_rejection(found[mentioned], code, row.get("message")))
    recognised = set(found.values())
    unconfirmed = tuple(key for key in sent if key not in recognised)
    return BatchResponse(done, tuple(unchanged), tuple(rejected), unconfirmed, corrected=corrected)


def parse_batch_updated(sent: Sequence[ShipmentKey], data: object) -> BatchResponse:
    """Read ``POST /trackings/updatemore``. How its count is called is not documented (1.7)."""
    return _batch_changed(sent, data, ("updated", "update", "change"))


def parse_batch_stopped(sent: Sequence[ShipmentKey], data: object) -> BatchResponse:
    """Read ``POST /trackings/notupdate`` (1.13)."""
    return _batch_changed(sent, data, ("change",))


def parse_batch_deleted(sent: Sequence[ShipmentKey], data: object) -> BatchResponse:
    """Read ``POST /trackings/delete``: each entry has a ``meta`` of its own, with the code (1.8)."""
    return _batch_changed(sent, data, ("delete",), already_done_error=DOES_NOT_EXIST)


def _batch_changed(
    sent: Sequence[ShipmentKey], data: object, counts: Sequence[str], already_done_error: frozenset[int] = frozenset()
) -> BatchResponse:
    """Read an answer with a count and a list whose entries may or may not have a code.

    Shipments are done when the count covers all that were not refused, or when their entries have a code of success
    and the count does not deny it. All others are unconfirmed: a list may name shipments that were not changed.
    """
    record = parse_object(data)
    errors = [_flatten_meta(row) for row in parse_objects(record.get("errors"))]
    entries = errors + [_flatten_meta(row) for row in parse_objects(record.get("trackings"))]
    # Of several entries about one shipment the first that has a code counts.
    by_key = _index_by_key(sorted(entries, key=lambda entry: parse_int(entry.get("code")) is None))
    found = {key: by_key[mentioned] for mentioned, key in match(sent, by_key).items()}
    done: list[ShipmentKey] = []
    unchanged: list[ShipmentKey] = []
    rejected: list[Rejection] = []
    unconfirmed: list[ShipmentKey] = []
    for key in sent:
        entry = found.get(key, {})
        code = parse_int(entry.get("code"))
        if code in already_done_error:
            unchanged.append(key)
        elif code in _CARRIED_OUT:
            done.append(key)
        elif code is None and entry not in errors:
            unconfirmed.append(key)
        else:
            rejected.append(_rejection(key, code, entry.get("message")))
    numbers = [number for name in counts if (number := parse_int(record.get(name))) is not None and number >= 0]
    count = numbers[0] if numbers else None
    if count is not None:
        if count >= len(done) + len(unconfirmed):
            done, unconfirmed, count = [key for key in sent if key in done or key in unconfirmed], [], None
        elif count >= len(done):
            count -= len(done)
        else:
            done, unconfirmed = [], [key for key in sent if key in done or key in unconfirmed]
    listed = tuple(key for key in unconfirmed if key in found)
    return BatchResponse(tuple(done), tuple(unchanged), tuple(rejected), tuple(unconfirmed), listed, count)


def _flatten_meta(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**row, **parse_object(row.get("meta"))}


def parse_status_counts(data: object) -> dict[ShipmentStatus, int]:
    """Read the counters (1.12): every known status has one; values of unknown statuses add up under ``UNKNOWN``."""
    if data and not isinstance(data, dict):
        raise MalformedResponseError(f"expected counters, TrackingMore sent {type(data).__name__}")
    counts: dict[ShipmentStatus, int] = {status: 0 for status in ShipmentStatus if status != ShipmentStatus.UNKNOWN}
    for name, value in parse_object(data).items():
        number = parse_int(value)
        if number is not None:
            status = parse_status(name)
            counts[status] = counts.get(status, 0) + number
    return counts


def _is_new(status: ShipmentStatus) -> bool:
    """A new tracking is always pending (1.1); anything further along had been registered before."""
    return status in (ShipmentStatus.PENDING, ShipmentStatus.UNKNOWN)


def _with_identity(key: ShipmentKey, tracking: Tracking) -> Tracking:
    """Give a record without identity that of the shipment it was asked for."""
    if tracking.carrier_code and tracking.tracking_number:
        return tracking
    return replace(
        tracking,
        carrier_code=tracking.carrier_code or key.carrier_code,
        tracking_number=tracking.tracking_number or key.tracking_number,
    )


def _key_of(row: object) -> ShipmentKey:
    record = parse_object(row)
    return ShipmentKey(parse_text(record.get("carrier_code")) or "", parse_text(record.get("tracking_number")) or "")


def _index_by_key(records: Iterable[Mapping[str, Any]]) -> dict[ShipmentKey, Mapping[str, Any]]:
    """Index records by their shipment; of several about one shipment the first counts."""
    found: dict[ShipmentKey, Mapping[str, Any]] = {}
    for row in records:
        found.setdefault(_key_of(row), row)
    return found


def _rejection(key: ShipmentKey, code: int | None, message: object) -> Rejection:
    return Rejection(*key, code, (parse_text(message) or "refused without a reason")[:300])
