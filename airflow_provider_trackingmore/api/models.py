"""A tracking, its checkpoints and its status, parsed from the API's records.

Unknown fields and values are not errors: they are kept in ``raw``, and an unknown status is ``UNKNOWN`` with its text.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from airflow_provider_trackingmore.api.errors import MalformedResponseError
from airflow_provider_trackingmore.api.json_values import (
    parse_bool,
    parse_datetime,
    parse_int,
    parse_local_time,
    parse_object,
    parse_objects,
    parse_text,
)


class ShipmentStatus(enum.StrEnum):
    """Where a shipment is (reference 3)."""

    PENDING = "pending"
    """Registered; the carrier has not been queried yet."""
    NOT_FOUND = "notfound"
    """The carrier has no information yet."""
    TRANSIT = "transit"
    """In transit."""
    PICKUP = "pickup"
    """Out for delivery, or ready for pickup."""
    DELIVERED = "delivered"
    """Delivered."""
    UNDELIVERED = "undelivered"
    """A delivery was attempted and failed."""
    EXCEPTION = "exception"
    """Returned, refused, held by customs, lost ..."""
    EXPIRED = "expired"
    """No delivery within 30 days (express) or 60 days (post): no longer tracked."""
    UNKNOWN = "unknown"
    """A status that this version does not know; ``Tracking.status_text`` has it."""


_DELIVERED = ShipmentStatus.DELIVERED.value
_STATUSES: dict[str, ShipmentStatus] = {status.value: status for status in ShipmentStatus}


def parse_status(value: object) -> ShipmentStatus:
    """Parse a status.

    :param value: the value in the response.
    :return: the status; :attr:`ShipmentStatus.UNKNOWN` for any other value.
    """
    return _STATUSES.get(value, ShipmentStatus.UNKNOWN) if isinstance(value, str) else ShipmentStatus.UNKNOWN


Body: TypeAlias = "Mapping[str, str | int]"
"""The body of a request for one shipment, in the API's format."""


class ShipmentKey(NamedTuple):
    """The identity of a shipment. Two carriers may use the same number."""

    carrier_code: str
    tracking_number: str

    @classmethod
    def from_body(cls, body: Body) -> ShipmentKey:
        """Return the key of a request body.

        :param body: a body with ``carrier_code`` and ``tracking_number``.
        :return: the key.
        """
        return cls(str(body["carrier_code"]), str(body["tracking_number"]))

    @property
    def normalized(self) -> ShipmentKey:
        """The same key for all spellings of a shipment: the API ignores case."""
        return ShipmentKey(self.carrier_code.casefold(), self.tracking_number.casefold())

    def __str__(self) -> str:
        return f"{self.carrier_code} {self.tracking_number}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An event on the way.

    :param time: ISO 8601 local time of the place, **without zone** (the API sends none); None if it cannot be parsed.
    :param description: the carrier's text, without surrounding white space.
    :param place: the place, without surrounding white space; may be empty.
    :param status: the status at this event.
    :param status_text: that status as sent; empty if there is none.
    :param substatus: a more detailed code such as ``transit003``, if there is one.
    :param substatus_number: the vendor's number of the substatus (``substatus_num``; its values are not published).
    :param item_node: the milestone (``ItemNode``), such as ``ItemReceived``.
    """

    time: str | None
    description: str
    place: str
    status: ShipmentStatus
    status_text: str
    substatus: str | None
    substatus_number: int | None = None
    item_node: str | None = None


@dataclass(frozen=True, slots=True)
class Tracking:
    """A registered shipment.

    Names, e-mail addresses and phone numbers are properties that read ``raw``: they are not part of the repr.

    :param carrier_code: the carrier's code, as in ``GET /carriers``.
    :param tracking_number: the carrier's number.
    :param status: its status.
    :param status_text: the status as sent.
    :param substatus: a more detailed code, if there is one.
    :param id: the vendor's id, 32 hex digits.
    :param order_id: the order that it was registered with.
    :param created_at: when it was registered, with the vendor's offset.
    :param updated_at: when the vendor last changed it. **May be None on delivered shipments.**
    :param updating: whether TrackingMore still updates it; None if the response does not say.
    :param archived: whether it is archived; None if the response does not say.
    :param created: set by ``create_tracking``: True for a new one, False if it was registered before.
    :param raw: the vendor's record, untouched.
    """

    carrier_code: str
    tracking_number: str
    status: ShipmentStatus = ShipmentStatus.UNKNOWN
    status_text: str = ""
    substatus: str | None = None
    id: str | None = None
    order_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    updating: bool | None = None
    archived: bool | None = None
    created: bool | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_payload(cls, data: object) -> Tracking:
        """Parse an item of the API (reference 1.19).

        :param data: one item.
        :return: the tracking.
        :raises MalformedResponseError: if it is not an object.
        """
        if not isinstance(data, dict):
            raise MalformedResponseError(f"expected a tracking, TrackingMore sent {type(data).__name__}")
        get = data.get
        status = get("status")
        return cls(
            parse_text(get("carrier_code")) or "",
            parse_text(get("tracking_number")) or "",
            parse_status(status),
            status if isinstance(status, str) else "",
            parse_text(get("substatus")),
            parse_text(get("id")),
            parse_text(get("order_id")),
            parse_datetime(get("created_at")),
            parse_datetime(get("updated_at")),
            parse_bool(get("track_update")),
            parse_bool(get("archived")),
            None,
            data,
        )

    @property
    def key(self) -> ShipmentKey:
        """Carrier and number."""
        return ShipmentKey(self.carrier_code, self.tracking_number)

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All events, newest first. Events that both legs report are merged into one."""
        found = _merge_legs(map(_checkpoint, _events(self.raw)))
        return tuple(sorted(found, key=lambda checkpoint: checkpoint.time or "", reverse=True))

    @property
    def last_update(self) -> str | None:
        """ISO 8601 local time of the newest event, without zone."""
        return parse_local_time(self.raw.get("lastUpdateTime"))

    @property
    def delivered_at(self) -> str | None:
        """ISO 8601 local time of the delivery, **without zone**; None if it is not delivered.

        It is the first of the last unbroken run of delivered events: later scans, such as a proof of delivery, are not
        the delivery, and neither is a delivery before a failed attempt or a return.
        """
        return delivery_time(self.raw)

    @property
    def last_event(self) -> str | None:
        """The newest event in one line, as sent. It sometimes contains a person's name."""
        return parse_text(self.raw.get("lastEvent"))

    @property
    def title(self) -> str | None:
        """The title given at registration."""
        return parse_text(self.raw.get("title"))

    @property
    def comment(self) -> str | None:
        """The comment given at registration."""
        return parse_text(self.raw.get("comment"))

    @property
    def customer_name(self) -> str | None:
        """Personal data."""
        return parse_text(self.raw.get("customer_name"))

    @property
    def customer_emails(self) -> tuple[str, ...]:
        """Personal data. The API sends a list, a text or null."""
        value = self.raw.get("customer_email")
        found = value if isinstance(value, list) else [value]
        return tuple(address for address in map(parse_text, found) if address)

    @property
    def customer_phone(self) -> str | None:
        """Personal data."""
        return parse_text(self.raw.get("customer_phone"))

    @property
    def signed_by(self) -> str | None:
        """Personal data. The API spells the field ``singed_by``."""
        return parse_text(self.raw.get("singed_by")) or parse_text(self.raw.get("signed_by"))

    @property
    def original_country(self) -> str | None:
        """The country of origin, in English."""
        return parse_text(self.raw.get("original_country"))

    @property
    def destination_country(self) -> str | None:
        """The country of destination, in English."""
        return parse_text(self.raw.get("destination_country"))

    @property
    def transit_days(self) -> int | None:
        """Days in transit so far."""
        return parse_int(self.raw.get("itemTimeLength"))

    @property
    def stay_days(self) -> int | None:
        """Days since the newest event."""
        return parse_int(self.raw.get("stayTimeLength"))


def delivery_time(record: Mapping[str, Any]) -> str | None:
    """Parse :attr:`Tracking.delivered_at` without parsing the rest of the record.

    :param record: the API's record.
    :return: ISO 8601 local time, without time zone; None if it is not delivered.
    """
    if record.get("status") != _DELIVERED:
        return None
    delivered = [event for event in _events(record) if _reports_delivery(event)]
    if len(delivered) == 1:  # nearly always; parsing all events of 2,000 shipments takes longer than decoding them
        start = parse_local_time(delivered[0].get("Date"))
    else:
        start = _start_of_last_delivery(Tracking.from_payload(record).checkpoints)
    return start or parse_local_time(record.get("lastUpdateTime"))


def _events(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the events of both legs, as sent."""
    return [
        event
        for leg in ("origin_info", "destination_info")
        for event in parse_objects(parse_object(record.get(leg)).get("trackinfo"))
    ]


def _reports_delivery(event: Mapping[str, Any]) -> bool:
    status = event.get("checkpoint_status")
    return isinstance(status, str) and status.strip() == _DELIVERED


def _status_text(event: Mapping[str, Any]) -> str:
    return (parse_text(event.get("checkpoint_status")) or "").strip()


def _checkpoint(row: Mapping[str, Any]) -> Checkpoint:
    status = _status_text(row)
    return Checkpoint(
        time=parse_local_time(row.get("Date")),
        description=(parse_text(row.get("StatusDescription")) or "").strip(),
        place=(parse_text(row.get("Details")) or "").strip(),
        status=parse_status(status),
        status_text=status,
        substatus=(parse_text(row.get("substatus")) or "").strip() or None,
        substatus_number=parse_int(row.get("substatus_num")),
        item_node=parse_text(row.get("ItemNode")),
    )


def _merge_legs(checkpoints: Iterable[Checkpoint]) -> Iterator[Checkpoint]:
    """Merge the events of both legs. Often only one leg has the status or substatus, so a gap is not a difference.

    :param checkpoints: the events of both legs.
    :return: each event once, at its first position.
    """
    events: dict[tuple[str | None, str, str], list[Checkpoint]] = {}
    for new in checkpoints:
        mentioned = events.setdefault((new.time, new.description, new.place), [])
        for position, old in enumerate(mentioned):
            if _agree(old.status_text, new.status_text) and _agree(old.substatus, new.substatus):
                mentioned[position] = _merge(old, new)
                break
        else:
            mentioned.append(new)
    return itertools.chain.from_iterable(events.values())


def _agree(first: str | None, second: str | None) -> bool:
    return first == second or not first or not second


def _merge(old: Checkpoint, new: Checkpoint) -> Checkpoint:
    number, node = old.substatus_number, old.item_node
    return replace(
        old,
        status=old.status if old.status_text else new.status,
        status_text=old.status_text or new.status_text,
        substatus=old.substatus or new.substatus,
        substatus_number=new.substatus_number if number is None else number,
        item_node=new.item_node if node is None else node,
    )


def _start_of_last_delivery(newest_first: Iterable[Checkpoint]) -> str | None:
    """Return the time of the first of the last unbroken run of delivered events.

    An event without a status does not end the run, and one without a time is ignored. Times may lack seconds, so a
    delivery in the same minute as the event that ends the run still belongs to it.

    :param newest_first: all events.
    :return: the time; None if no event has both the status and a time.
    """
    start: str | None = None
    end: str | None = None
    for checkpoint in newest_first:
        if checkpoint.time is None or (end is not None and checkpoint.time < end):
            break
        if checkpoint.status is ShipmentStatus.DELIVERED:
            start = checkpoint.time
        elif start is not None and checkpoint.status_text:
            end = checkpoint.time
    return start
