"""Parse the ``data`` of responses about shipments, including the variants in sections 1.1 to 1.13 of the reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_provider_trackingmore.api.envelope import SUCCESS_CODES
from airflow_provider_trackingmore.api.errors import Hint, MalformedResponseError, TrackingNotFoundError
from airflow_provider_trackingmore.api.json_values import parse_int, parse_object, parse_objects, parse_text
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus, Tracking, parse_status
from airflow_provider_trackingmore.api.reports import BatchResponse, Rejection, match_keys

ALREADY_EXISTS = 4016
DOES_NOT_EXIST = frozenset({4017, 4031})

TWO_HOUR_RULE = "TrackingMore queries a carrier for the same shipment only once in 2 hours: use get_tracking until then"


def parse_existing(key: ShipmentKey) -> Tracking:
    """Return the tracking that 4016 stands for: registered before; nothing else is known about it."""
    return Tracking(key.carrier_code, key.tracking_number, created=False)


def parse_created(key: ShipmentKey, data: object) -> Tracking:
    """Parse the response to a create request.

    Success without a record, or with a status past pending, means that the shipment was registered before (1.1).
    """
    if not data:
        return parse_existing(key)
    tracking = _with_identity(key, Tracking.from_payload(data))
    return replace(tracking, created=_is_new(tracking.status))


def parse_tracking(key: ShipmentKey, data: object) -> Tracking:
    """Parse a single tracking. Success without a record means that it does not exist."""
    if not data:
        raise TrackingNotFoundError(f"{key} is not registered with TrackingMore", hint=Hint.REGISTER_FIRST)
    return _with_identity(key, Tracking.from_payload(data))


def parse_updated(key: ShipmentKey, data: object) -> Tracking:
    """Parse the response to an update, which may be successful without a record."""
    if not data:
        return Tracking(key.carrier_code, key.tracking_number)
    return _with_identity(key, Tracking.from_payload(data))


def parse_realtime(key: ShipmentKey, data: object) -> Tracking:
    """Parse a realtime response: a list with one entry below ``items`` (1.9)."""
    items = data.get("items") if isinstance(data, dict) and "items" in data else data
    if isinstance(items, list) and items:
        items = items[0]
    if not items:
        raise TrackingNotFoundError(f"{key}: the carrier returned nothing; {TWO_HOUR_RULE}")
    return _with_identity(key, Tracking.from_payload(items))


def parse_batch_created(sent: Sequence[ShipmentKey], data: object) -> BatchResponse:
    """Parse ``POST /trackings/batch``: created ones are in ``trackings``, refused ones in ``errors`` with a code."""
    record = parse_object(data)
    added = _index_by_key(parse_objects(record.get("trackings")))
    # A shipment in both lists is registered: its record proves it.
    errors = _index_by_key(parse_objects(record.get("errors")))
    refused = {key: row for key, row in errors.items() if key not in added}
    sent_key = match_keys(sent, [*added, *refused])
    new = {key for key, row in added.items() if _is_new(parse_status(row.get("status")))}
    done = tuple(sent_key[key] for key in added if key in sent_key and key in new)
    unchanged = [sent_key[key] for key in added if key in sent_key and key not in new]
    corrected = tuple(
        (sent, key)
        for key, sent in sent_key.items()
        if key in added
        and key.carrier_code not in ("", sent.carrier_code)
        and key.normalized.carrier_code != sent.normalized.carrier_code
    )
    rejected: list[Rejection] = []
    for key, row in refused.items():
        if key not in sent_key:
            continue
        code = parse_int(row.get("code"))
        if code == ALREADY_EXISTS:
            unchanged.append(sent_key[key])
        else:
            rejected.append(_rejection(sent_key[key], code, row.get("message")))
    confirmed = set(sent_key.values())
    unconfirmed = tuple(key for key in sent if key not in confirmed)
    return BatchResponse(done, tuple(unchanged), tuple(rejected), unconfirmed, corrected=corrected)


def parse_batch_updated(sent: Sequence[ShipmentKey], data: object) -> BatchResponse:
    """Parse ``POST /trackings/updatemore``. The name of its count is not documented (1.7)."""
    return _parse_batch_changed(sent, data, ("updated", "update", "change"))


def parse_batch_stopped(sent: Sequence[ShipmentKey], data: object) -> BatchResponse:
    """Parse ``POST /trackings/notupdate`` (1.13)."""
    return _parse_batch_changed(sent, data, ("change",))


def parse_batch_deleted(sent: Sequence[ShipmentKey], data: object) -> BatchResponse:
    """Parse ``POST /trackings/delete``: each entry has a ``meta`` of its own, with the code (1.8)."""
    return _parse_batch_changed(sent, data, ("delete",), unchanged_codes=DOES_NOT_EXIST)


def _parse_batch_changed(
    sent: Sequence[ShipmentKey], data: object, count_names: Sequence[str], unchanged_codes: frozenset[int] = frozenset()
) -> BatchResponse:
    """Parse a response with a count and a list whose entries may or may not have a code.

    Shipments are done if the count covers all that were not refused, or if their entries have a success code that the
    count does not contradict. All others are unconfirmed: a list may name shipments that were not changed.
    """
    record = parse_object(data)
    errors = [_flatten_meta(row) for row in parse_objects(record.get("errors"))]
    entries = errors + [_flatten_meta(row) for row in parse_objects(record.get("trackings"))]
    # If there are several entries for a shipment, the first one with a code counts.
    by_key = _index_by_key(sorted(entries, key=lambda entry: parse_int(entry.get("code")) is None))
    entry_of = {key: by_key[mentioned] for mentioned, key in match_keys(sent, by_key).items()}
    done: list[ShipmentKey] = []
    unchanged: list[ShipmentKey] = []
    rejected: list[Rejection] = []
    unconfirmed: list[ShipmentKey] = []
    for key in sent:
        entry = entry_of.get(key, {})
        code = parse_int(entry.get("code"))
        if code in unchanged_codes:
            unchanged.append(key)
        elif code in SUCCESS_CODES:
            done.append(key)
        elif code is None and entry not in errors:
            unconfirmed.append(key)
        else:
            rejected.append(_rejection(key, code, entry.get("message")))
    counts = [count for name in count_names if (count := parse_int(record.get(name))) is not None and count >= 0]
    count = counts[0] if counts else None
    if count is not None:
        processed = {*done, *unconfirmed}
        if count >= len(processed):
            done, unconfirmed, count = [key for key in sent if key in processed], [], None
        elif count >= len(done):
            count -= len(done)
        else:
            done, unconfirmed = [], [key for key in sent if key in processed]
    listed = tuple(key for key in unconfirmed if key in entry_of)
    return BatchResponse(tuple(done), tuple(unchanged), tuple(rejected), tuple(unconfirmed), listed, count)


def _flatten_meta(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**row, **parse_object(row.get("meta"))}


def parse_status_counts(data: object) -> dict[ShipmentStatus, int]:
    """Parse the counters (1.12): one for each known status; those of unknown statuses add up as ``UNKNOWN``."""
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
    """A new tracking is always pending (1.1); with any other status it was registered before."""
    return status in (ShipmentStatus.PENDING, ShipmentStatus.UNKNOWN)


def _with_identity(key: ShipmentKey, tracking: Tracking) -> Tracking:
    """Complete a record without carrier or number from the request."""
    if tracking.carrier_code and tracking.tracking_number:
        return tracking
    return replace(
        tracking,
        carrier_code=tracking.carrier_code or key.carrier_code,
        tracking_number=tracking.tracking_number or key.tracking_number,
    )


def _index_by_key(records: Iterable[Mapping[str, Any]]) -> dict[ShipmentKey, Mapping[str, Any]]:
    """Index records by their shipment. If there are several for one shipment, the first one counts."""
    index: dict[ShipmentKey, Mapping[str, Any]] = {}
    for row in records:
        carrier, number = parse_text(row.get("carrier_code")), parse_text(row.get("tracking_number"))
        index.setdefault(ShipmentKey(carrier or "", number or ""), row)
    return index


def _rejection(key: ShipmentKey, code: int | None, message: object) -> Rejection:
    return Rejection(*key, code, (parse_text(message) or "refused without a reason")[:300])
