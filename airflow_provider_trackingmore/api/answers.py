"""What an answer's ``data`` means for the shipments that were sent. Knows the odd forms of reference 1.1-1.13; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_provider_trackingmore.api.errors import MalformedAnswerError, TrackingNotFoundError
from airflow_provider_trackingmore.api.models import (
    ShipmentKey,
    ShipmentStatus,
    Tracking,
    integer,
    mapping,
    parse_status,
    rows,
    text,
)
from airflow_provider_trackingmore.api.reports import BatchAnswer, Rejection, match

ALREADY_EXISTS = 4016
DOES_NOT_EXIST = frozenset({4017, 4031})


def existing(key: ShipmentKey) -> Tracking:
    """The shipment had been registered before; the answer says no more than that."""
    return Tracking(key.carrier_code, key.tracking_number, created=False)


def created(key: ShipmentKey, data: object) -> Tracking:
    """Read a single create: success without a record, or with a status past pending, means it had been there (1.1)."""
    if not data:
        return existing(key)
    tracking = _identified(key, Tracking.from_payload(data))
    return replace(tracking, created=_is_new(tracking.status))


def one(key: ShipmentKey, data: object) -> Tracking:
    """Read a single tracking; success without a record means that it is not there."""
    if not data:
        raise TrackingNotFoundError(f"{key} is not registered with TrackingMore: run CreateTrackingsOperator first")
    return _identified(key, Tracking.from_payload(data))


def updated(key: ShipmentKey, data: object) -> Tracking:
    """Read an update; an answer without a record still means that it was carried out."""
    return _identified(key, Tracking.from_payload(data)) if data else Tracking(key.carrier_code, key.tracking_number)


def realtime(key: ShipmentKey, data: object) -> Tracking:
    """Read a realtime answer: a list of one under ``items`` (1.9)."""
    items = data.get("items") if isinstance(data, dict) and "items" in data else data
    if isinstance(items, list) and items:
        items = items[0]
    if not items:
        raise TrackingNotFoundError(f"{key}: the carrier returned nothing for it")
    return _identified(key, Tracking.from_payload(items))


def batch_created(sent: Sequence[ShipmentKey], data: object) -> BatchAnswer:
    """Read ``POST /trackings/batch``: accepted ones under ``trackings``, refused ones under ``errors`` with a code."""
    record = mapping(data)
    added = _each_once(rows(record.get("trackings")))
    # A shipment that stands in both lists is registered: its record is the proof.
    refused = {key: row for key, row in _each_once(rows(record.get("errors"))).items() if key not in added}
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
        code = integer(row.get("code"))
        if code == ALREADY_EXISTS:
            unchanged.append(found[mentioned])
        else:
            rejected.append(_rejection(found[mentioned], code, row.get("message")))
    return BatchAnswer(done, tuple(unchanged), tuple(rejected), _unmentioned(sent, found), corrected)


def batch_deleted(sent: Sequence[ShipmentKey], data: object) -> BatchAnswer:
    """Read ``POST /trackings/delete``: each entry has a ``meta`` of its own, with the code (1.8)."""
    done: list[ShipmentKey] = []
    unchanged: list[ShipmentKey] = []
    rejected: list[Rejection] = []
    record = mapping(data)
    entries = _each_once(mapping(row.get("meta")) or row for row in rows(record.get("trackings")))
    found = match(sent, entries)
    for mentioned, entry in entries.items():
        key, code = found.get(mentioned), integer(entry.get("code"))
        if key is None:
            continue
        if code is None or code in (200, 201, 202):
            done.append(key)
        elif code in DOES_NOT_EXIST:
            unchanged.append(key)
        else:
            rejected.append(_rejection(key, code, entry.get("message")))
    unmentioned = _unmentioned(sent, found)
    if unmentioned and integer(record.get("delete")) == len(sent):
        done.extend(unmentioned)
        unmentioned = ()
    return BatchAnswer(tuple(done), tuple(unchanged), tuple(rejected), unmentioned)


def batch_done(sent: Sequence[ShipmentKey], data: object) -> BatchAnswer:
    """Read an answer of which only the outer code is documented (1.7, 1.13): what it does not refuse is done."""
    record = mapping(data)
    entries = [mapping(row.get("meta")) or row for name in ("trackings", "errors") for row in rows(record.get(name))]
    refusals = {_key(entry): entry for entry in entries if integer(entry.get("code")) not in (None, 200, 201, 202)}
    found = match(sent, refusals)
    rejected = tuple(
        _rejection(found[key], integer(entry.get("code")), entry.get("message"))
        for key, entry in refusals.items()
        if key in found
    )
    refused = set(found.values())
    return BatchAnswer(tuple(key for key in sent if key not in refused), (), rejected)


def counters(data: object) -> dict[ShipmentStatus, int]:
    """Read the counters (1.12): every known status has one; values of unknown statuses add up under ``UNKNOWN``."""
    if data and not isinstance(data, dict):
        raise MalformedAnswerError(f"expected counters, TrackingMore sent {type(data).__name__}")
    counts: dict[ShipmentStatus, int] = {status: 0 for status in ShipmentStatus if status != ShipmentStatus.UNKNOWN}
    for name, value in mapping(data).items():
        number = integer(value)
        if number is not None:
            status = parse_status(name)
            counts[status] = counts.get(status, 0) + number
    return counts


def _is_new(status: ShipmentStatus) -> bool:
    """A new tracking is always pending (1.1); anything further along had been registered before."""
    return status in (ShipmentStatus.PENDING, ShipmentStatus.UNKNOWN)


def _identified(key: ShipmentKey, tracking: Tracking) -> Tracking:
    """Give a record without identity that of the shipment it was asked for."""
    if tracking.carrier_code and tracking.tracking_number:
        return tracking
    return replace(
        tracking,
        carrier_code=tracking.carrier_code or key.carrier_code,
        tracking_number=tracking.tracking_number or key.tracking_number,
    )


def _key(row: object) -> ShipmentKey:
    record = mapping(row)
    return ShipmentKey(text(record.get("carrier_code")) or "", text(record.get("tracking_number")) or "")


def _each_once(records: Iterable[Mapping[str, Any]]) -> dict[ShipmentKey, Mapping[str, Any]]:
    """Index records by their shipment; of several about one shipment the first counts."""
    found: dict[ShipmentKey, Mapping[str, Any]] = {}
    for row in records:
        found.setdefault(_key(row), row)
    return found


def _rejection(key: ShipmentKey, code: int | None, message: object) -> Rejection:
    return Rejection(*key, code, (text(message) or "refused without a reason")[:300])


def _unmentioned(sent: Sequence[ShipmentKey], found: dict[ShipmentKey, ShipmentKey]) -> tuple[ShipmentKey, ...]:
    mentioned = set(found.values())
    return tuple(key for key in sent if key not in mentioned)
