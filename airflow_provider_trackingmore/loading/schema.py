"""The tables that a load writes: their columns, types and keys.

The schema has a version. Columns are only ever added, never renamed, retyped or removed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

SCHEMA_VERSION = 1
"""Increased whenever a column is added. It is part of ``content_hash``, so that the next load fills the new column."""

ACCOUNT_LENGTH = 250
CODE_LENGTH = 100
NUMBER_LENGTH = 200
HASH_LENGTH = 32
"""Hex digits."""


class ColumnType(enum.Enum):
    """The types of all columns; each target maps them to its own."""

    KEY = "key"
    """Text of limited length that is part of a key."""
    TEXT = "text"
    """Text of any length."""
    UTC = "utc"
    """A point in time."""
    LOCAL = "local"
    """Date and time at a place whose time zone is unknown."""
    BOOLEAN = "boolean"
    INTEGER = "integer"
    """A whole number; only in the table of the state."""
    TEXTS = "texts"
    """A list of texts; only in files."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    :param name: its name.
    :param type: its type.
    :param doc: what it contains.
    :param length: the maximal length of a :attr:`ColumnType.KEY`.
    :param is_required: whether it is never null.
    :param keeps_known: whether a null from the vendor leaves the known value in place.
    """

    name: str
    type: ColumnType
    doc: str
    length: int = 0
    is_required: bool = False
    keeps_known: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    :param name: its name in files, and its default name in databases.
    :param columns: all columns, in order.
    :param key: the names of the columns of the primary key.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        return tuple(column.name for column in self.columns)


def _key(name: str, length: int, doc: str) -> Column:
    return Column(name, ColumnType.KEY, doc, length, is_required=True)


def _text(name: str, doc: str) -> Column:
    return Column(name, ColumnType.TEXT, doc, keeps_known=True)


def _local(name: str, doc: str) -> Column:
    return Column(name, ColumnType.LOCAL, doc, keeps_known=True)


def _utc(name: str, doc: str, *, is_required: bool = False, keeps_known: bool = False) -> Column:
    return Column(name, ColumnType.UTC, doc, is_required=is_required, keeps_known=keeps_known)


SHIPMENT_KEY = (
    _key("account", ACCOUNT_LENGTH, "The argument `account`: by default the id of the Airflow connection."),
    _key("carrier_code", CODE_LENGTH, "TrackingMore's code of the carrier."),
    _key("tracking_number", NUMBER_LENGTH, "The carrier's number."),
)

CONTENT_COLUMNS = (
    _text("tracking_id", "TrackingMore's id of the shipment, 32 hex digits."),
    Column("status", ColumnType.TEXT, "Its status, as sent: `pending`, `notfound`, `transit`, `pickup`, `delivered`, "
           "`undelivered`, `exception`, `expired`, or one that this version does not know.", is_required=True),
    Column("substatus", ColumnType.TEXT, "A more detailed code such as `transit003`. A null keeps the known code only "
           "while the status is the same."),
    _text("order_id", "The order that it was registered with."),
    _utc("created_at", "When it was registered.", keeps_known=True),
    _utc("updated_at", "When TrackingMore last changed it. **Often null on delivered shipments.**", keeps_known=True),
    _local("first_event_at", "Time of its oldest event."),
    _local("last_event_at", "Time of its newest event."),
    _local("first_attempt_at_local", "Time of the first delivery attempt: its oldest event with the status "
           "`undelivered` or `delivered`."),
    Column("delivered_at_local", ColumnType.LOCAL, "Time of the delivery: the first of the last unbroken run of "
           "delivered events. It is null unless the status is `delivered`."),
    _local("received_at_local", "Milestone: received by the carrier."),
    _local("dispatched_at_local", "Milestone: dispatched."),
    _local("departed_airport_at_local", "Milestone: arrived at, or left, the airport."),
    _local("arrived_abroad_at_local", "Milestone: arrived in the country of destination."),
    _local("customs_cleared_at_local", "Milestone: cleared by customs."),
    _local("destination_arrived_at_local", "Milestone: arrived at the destination."),
    _text("origin_country", "Country of origin, in English, as sent."),
    _text("destination_country", "Country of destination, in English, as sent."),
    Column("is_updating", ColumnType.BOOLEAN, "Whether TrackingMore still asks the carrier.", keeps_known=True),
    Column("is_archived", ColumnType.BOOLEAN, "Whether it is archived in the account.", keeps_known=True),
)  # fmt: skip
"""What the vendor sends of a shipment, without personal data."""

PERSONAL_COLUMNS = (
    _text("customer_name", "Personal data; null unless `include_personal_data=True`."),
    _text("customer_email", "Personal data; null unless `include_personal_data=True`. Several addresses are separated "
          "by commas."),
    _text("customer_phone", "Personal data; null unless `include_personal_data=True`."),
    _text("signed_by", "Personal data; null unless `include_personal_data=True`."),
)  # fmt: skip

TRACKINGS = Table(
    "trackings",
    (
        *SHIPMENT_KEY,
        *CONTENT_COLUMNS,
        *PERSONAL_COLUMNS,
        Column("raw", ColumnType.TEXT, "The vendor's record as JSON; null unless `include_raw=True`. **It may contain "
               "personal data.**", keeps_known=True),
        Column("content_hash", ColumnType.KEY, "Hash of everything that the vendor sent of the shipment and its "
               "events, as far as it is loaded.", HASH_LENGTH, is_required=True),
        _utc("first_seen_at", "Start of the load that found the shipment.", is_required=True),
        _utc("changed_at", "Start of the load that last wrote this row.", is_required=True),
        _utc("last_seen_at", "Start of the last load whose responses contained the shipment.", is_required=True),
        _utc("missing_since", "Start of the load that found that the shipment is no longer registered."),
    ),
    ("account", "carrier_code", "tracking_number"),
)  # fmt: skip
"""One row per shipment: its newest state."""

EVENTS = Table(
    "tracking_events",
    (
        *SHIPMENT_KEY,
        _key("event_key", HASH_LENGTH, "Hash of account, carrier, number, time, text, place and status."),
        Column("event_time_local", ColumnType.LOCAL, "Date and time at the place, without time zone."),
        Column("status", ColumnType.TEXT, "The status at this event, as sent."),
        Column("substatus", ColumnType.TEXT, "A more detailed code.", keeps_known=True),
        Column("place", ColumnType.TEXT, "The place."),
        Column("description", ColumnType.TEXT, "The carrier's text; null with `event_texts=\"drop\"`. **Some carriers "
               "write the receiver's name into it.**", keeps_known=True),
        _utc("first_seen_at", "Start of the load that found the event.", is_required=True),
        _utc("superseded_at", "Start of the load that no longer found the event, because the carrier had reworded or "
             "withdrawn it; null while it is current."),
    ),
    ("account", "carrier_code", "tracking_number", "event_key"),
)  # fmt: skip
"""One row per event. Rows are never removed."""

STATUS_CHANGES = Table(
    "tracking_status_changes",
    (
        *SHIPMENT_KEY,
        _utc("observed_at", "Start of the load that found the change.", is_required=True),
        Column("previous_status", ColumnType.TEXT, "The status before; null for the first one."),
        Column("status", ColumnType.TEXT, "The status from then on.", is_required=True),
        Column("substatus", ColumnType.TEXT, "A more detailed code at that time."),
    ),
    ("account", "carrier_code", "tracking_number", "observed_at"),
)
"""One row per change of status that a load has found. Rows are never changed or removed."""

TABLES = (TRACKINGS, EVENTS, STATUS_CHANGES)
