"""Turn a tracking into rows of the tables, and hash their content.

Times of the account are aware datetimes in UTC. Local times stay text, ``YYYY-MM-DD HH:MM:SS``: there are about ten
events per shipment, and every target can read that format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias

from airflow_provider_trackingmore.api.json_values import parse_local_time, parse_object
from airflow_provider_trackingmore.api.models import Checkpoint, ShipmentKey, ShipmentStatus, Tracking
from airflow_provider_trackingmore.loading.schema import HASH_LENGTH, SCHEMA_VERSION

Value: TypeAlias = str | datetime | bool | None

_MILESTONES = (
    "ItemReceived",
    "ItemDispatched",
    "DepartfromAirport",
    "ArrivalfromAbroad",
    "CustomsClearance",
    "DestinationArrived",
)
_ATTEMPTS = (ShipmentStatus.UNDELIVERED, ShipmentStatus.DELIVERED)
_WESTERNMOST = timedelta(hours=12)
"""How far a local time can lag behind UTC."""


@dataclass(frozen=True, slots=True)
class RowOptions:
    """What the rows contain.

    :param account: the value of the column ``account``.
    :param event_texts: whether to keep the carriers' texts.
    :param personal_data: whether to keep names, e-mail addresses and phone numbers.
    :param raw: whether to keep the vendor's record.
    """

    account: str
    event_texts: bool = True
    personal_data: bool = False
    raw: bool = False


class EventRow(NamedTuple):
    """The columns of an event between its shipment's key and ``first_seen_at``."""

    event_key: str
    event_time_local: str | None
    status: str | None
    substatus: str | None
    place: str | None
    description: str | None


@dataclass(frozen=True)
class ShipmentRecord:
    """A shipment as the vendor's response describes it, in the form of the tables.

    :param key: carrier and number.
    :param content: the values of :data:`~.schema.CONTENT_COLUMNS`.
    :param personal: the values of :data:`~.schema.PERSONAL_COLUMNS`.
    :param raw: the vendor's record as JSON, if it is loaded.
    :param events: the events, newest first, each key once.
    :param content_hash: the hash of all of these.
    :param status: its status as sent.
    :param substatus: its substatus.
    :param is_final: whether its status is final: ``delivered`` or ``expired``.
    :param created_at: when it was registered.
    :param updated_at: when the vendor last changed it.
    :param active_at: the latest time of any activity that the response shows.
    """

    key: ShipmentKey
    content: tuple[Value, ...]
    personal: tuple[Value, ...]
    raw: str | None
    events: tuple[EventRow, ...]
    content_hash: str
    status: str
    substatus: str | None
    is_final: bool
    created_at: datetime | None
    updated_at: datetime | None
    active_at: datetime | None

    @cached_property
    def event_keys(self) -> tuple[str, ...]:
        """The keys of the events."""
        return tuple(event.event_key for event in self.events)


def build_record(tracking: Tracking, options: RowOptions) -> ShipmentRecord:
    """Build the rows of a shipment.

    :param tracking: the tracking.
    :param options: what the rows contain.
    :return: the rows.
    """
    key = ShipmentKey(clean_text(tracking.carrier_code) or "", clean_text(tracking.tracking_number) or "")
    checkpoints = tracking.checkpoints
    prefix = f"{options.account}\x1f{key.carrier_code}\x1f{key.tracking_number}\x1f"
    rows: dict[str, EventRow] = {}
    for checkpoint in checkpoints:
        row = _event_row(prefix, checkpoint, options.event_texts)
        rows.setdefault(row.event_key, row)
    events = tuple(rows.values())
    created_at, updated_at = to_utc(tracking.created_at), to_utc(tracking.updated_at)
    times = [checkpoint.time for checkpoint in checkpoints if checkpoint.time is not None]
    first, last = (times[-1], times[0]) if times else (None, tracking.last_update)
    attempts = [event.time for event in checkpoints if event.time is not None and event.status in _ATTEMPTS]
    status = clean_text(tracking.status_text) or tracking.status.value
    content = (
        clean_text(tracking.id),
        status,
        clean_text(tracking.substatus),
        clean_text(tracking.order_id),
        created_at,
        updated_at,
        _with_space(first),
        _with_space(last),
        _with_space(attempts[-1] if attempts else None),
        _with_space(tracking.delivered_at),
        *_milestones(tracking.raw),
        clean_text(tracking.original_country),
        clean_text(tracking.destination_country),
        tracking.updating,
        tracking.archived,
    )
    personal: tuple[Value, ...] = (None, None, None, None)
    if options.personal_data:
        emails = ",".join(tracking.customer_emails) or None
        found = (tracking.customer_name, emails, tracking.customer_phone, tracking.signed_by)
        personal = tuple(map(clean_text, found))
    hashed = [
        [SCHEMA_VERSION, options.event_texts, options.personal_data, options.raw],
        content,
        personal,
        [(event.event_key, event.substatus) for event in events],
    ]
    return ShipmentRecord(
        key=key,
        content=content,
        personal=personal,
        raw=clean_text(json.dumps(tracking.raw, ensure_ascii=False, separators=(",", ":"))) if options.raw else None,
        events=events,
        content_hash=_hash(json.dumps(hashed, ensure_ascii=False, separators=(",", ":"), default=str)),
        status=status,
        substatus=clean_text(tracking.substatus),
        is_final=tracking.status in (ShipmentStatus.DELIVERED, ShipmentStatus.EXPIRED),
        created_at=created_at,
        updated_at=updated_at,
        active_at=latest_activity(created_at, updated_at, last),
    )


def clean_text(text: str | None) -> str | None:
    """Replace the characters that databases and files refuse: NUL and lone surrogates.

    :param text: any text; None for none.
    :return: the text without them.
    """
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def to_utc(time: datetime | None) -> datetime | None:
    """Convert an aware datetime to UTC.

    :param time: the time; None for none.
    :return: the same point in time; None if it is outside the range of dates in UTC.
    """
    try:
        return time.astimezone(UTC) if time is not None else None
    except (OverflowError, ValueError):
        return None


def _event_row(prefix: str, checkpoint: Checkpoint, with_text: bool) -> EventRow:
    time = _with_space(checkpoint.time)
    text, place = _normalize(checkpoint.description), _normalize(checkpoint.place)
    return EventRow(
        event_key=_hash(f"{prefix}{time or ''}\x1f{text}\x1f{place}\x1f{checkpoint.status_text}"),
        event_time_local=time,
        status=clean_text(checkpoint.status_text or None),
        substatus=clean_text(checkpoint.substatus),
        place=clean_text(checkpoint.place or None),
        description=clean_text(checkpoint.description or None) if with_text else None,
    )


def _hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=HASH_LENGTH // 2).hexdigest()


@lru_cache(maxsize=4096)
def _normalize(text: str) -> str:
    """Normalize case and white space, in which the two legs of a shipment may differ."""
    return " ".join(text.casefold().split())


def _with_space(time: str | None) -> str | None:
    return time.replace("T", " ", 1) if time is not None else None


def _milestones(raw: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Return the milestones; if both legs have one, that of the first leg."""
    origin, destination = parse_object(raw.get("origin_info")), parse_object(raw.get("destination_info"))
    return tuple(
        _with_space(parse_local_time(origin.get(name)) or parse_local_time(destination.get(name)))
        for name in _MILESTONES
    )


def latest_activity(
    created_at: datetime | None, updated_at: datetime | None, last_event: str | None
) -> datetime | None:
    """Return the latest time of any activity of a shipment.

    :param created_at: when it was registered.
    :param updated_at: when the vendor last changed it.
    :param last_event: ISO 8601 local time of its newest event, without zone.
    :return: the latest of them, in UTC; None if there is none.
    """
    times = [time for time in (created_at, updated_at) if time is not None]
    if last_event is not None:
        try:
            times.append(datetime.fromisoformat(last_event).replace(tzinfo=UTC) + _WESTERNMOST)
        except OverflowError:
            times.append(datetime.max.replace(tzinfo=UTC))
    return max(times, default=None)
