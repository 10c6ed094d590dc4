"""Write the batches of a load into the three tables. The same code for every database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.rows import EventRow, ShipmentRecord
from airflow_provider_trackingmore.loading.schema import (
    CONTENT_COLUMNS,
    EVENTS,
    PERSONAL_COLUMNS,
    STATUS_CHANGES,
    TRACKINGS,
    Column,
    ColumnType,
    Table,
)
from airflow_provider_trackingmore.loading.target import Batch, Counts, KnownShipment
from airflow_provider_trackingmore.transfers.sql.database import Database

_STATUS_IS_SAME = Column("status_is_same", ColumnType.BOOLEAN, "Whether the status is the known one; not stored.")


def _columns(table: Table, *names: str) -> list[Column]:
    by_name = {column.name: column for column in table.columns}
    return [by_name[name] for name in names]


_SHIPMENT = _columns(TRACKINGS, *TRACKINGS.key)
_SENT = [*CONTENT_COLUMNS, *PERSONAL_COLUMNS, *_columns(TRACKINGS, "raw", "content_hash")]
_NEW_TRACKING = [*_SHIPMENT, *_SENT, *_columns(TRACKINGS, "first_seen_at", "changed_at", "last_seen_at")]
_CHANGED_TRACKING = [*_SENT, *_columns(TRACKINGS, "changed_at", "last_seen_at", "missing_since"), _STATUS_IS_SAME]
_TRACKING_ASSIGNMENTS = {
    column.name: f"COALESCE({{new.{column.name}}}, {{old.{column.name}}})"
    if column.keeps_known
    else f"{{new.{column.name}}}"
    for column in _CHANGED_TRACKING[:-1]
} | {
    "substatus": "CASE WHEN {new.status_is_same} THEN COALESCE({new.substatus}, {old.substatus}) "
    "ELSE {new.substatus} END"
}

_NEW_EVENT = _columns(EVENTS, *EVENTS.key, *EventRow._fields[1:], "first_seen_at")
_CHANGED_EVENT = _columns(EVENTS, "substatus", "description", "superseded_at")
_EVENT_ASSIGNMENTS = {
    "substatus": "COALESCE({new.substatus}, {old.substatus})",
    "description": "COALESCE({old.description}, {new.description})",
    "superseded_at": "{new.superseded_at}",
}
_STATUS_CHANGE = list(STATUS_CHANGES.columns)
_SEEN_ASSIGNMENTS = {"last_seen_at": "{new.last_seen_at}"}
_MISSING_ASSIGNMENTS = {"missing_since": "{new.missing_since}", "changed_at": "{new.changed_at}"}


class SqlTarget:
    """The tables of a load in a database, inside its transaction.

    :param database: the database.
    :param names: the name of each table in this package -> its name in the database.
    :param account: the value of the column ``account``.
    :param now: the start of the load, in UTC.
    """

    def __init__(self, database: Database, names: Mapping[str, str], account: str, now: datetime) -> None:
        self._database = database
        self._trackings = names[TRACKINGS.name]
        self._events = names[EVENTS.name]
        self._changes = names[STATUS_CHANGES.name]
        self._account = account
        self._now = now

    def known(self, shipments: Mapping[ShipmentKey, int | None]) -> dict[ShipmentKey, KnownShipment]:
        """Look up shipments.

        :param shipments: up to 2,000 shipments.
        :return: those that the table has.
        """
        names = (
            "carrier_code",
            "tracking_number",
            "content_hash",
            "status",
            "first_seen_at",
            "changed_at",
            "missing_since",
        )
        rows = self._database.select(self._trackings, names, self._account, list(shipments))
        return {
            ShipmentKey(str(carrier), str(number)): KnownShipment(
                str(content_hash), str(status), _to_time(first_seen_at), _to_time(changed_at), missing_since is not None
            )
            for carrier, number, content_hash, status, first_seen_at, changed_at, missing_since in rows
        }

    def write(self, batch: Batch) -> Counts:
        """Write a batch: tracking rows, status changes, the events of new and changed shipments, missing shipments.

        :param batch: the batch.
        :return: the counts of the events of new and changed shipments.
        """
        account, now, database = self._account, self._now, self._database
        database.insert(
            self._trackings,
            _NEW_TRACKING,
            [(account, *record.key, *_sent(record), now, now, now) for record in batch.new],
        )
        moved = {change.key for change in batch.status_changes}
        database.update(
            self._trackings,
            _SHIPMENT,
            _CHANGED_TRACKING,
            [
                (account, *record.key, *_sent(record), now, now, None, record.key not in moved)
                for record in batch.changed
            ],
            _TRACKING_ASSIGNMENTS,
        )
        counts = self._write_events([*batch.new, *batch.changed])
        database.insert(
            self._changes,
            _STATUS_CHANGE,
            [
                (account, *change.key, now, change.previous_status, change.status, change.substatus)
                for change in batch.status_changes
            ],
        )
        database.update(
            self._trackings,
            _SHIPMENT,
            _columns(TRACKINGS, *_MISSING_ASSIGNMENTS),
            [(account, *key, now, now) for key in batch.missing],
            _MISSING_ASSIGNMENTS,
        )
        database.update(
            self._trackings,
            _SHIPMENT,
            _columns(TRACKINGS, *_SEEN_ASSIGNMENTS),
            [(account, *record.key, now) for record in batch.unchanged],
            _SEEN_ASSIGNMENTS,
        )
        return counts

    def _write_events(self, records: Sequence[ShipmentRecord]) -> Counts:
        """Compare the events of shipments with those in the table, which may outlive their shipment's row there."""
        known: dict[ShipmentKey, dict[str, tuple[object, ...]]] = {}
        names = ("carrier_code", "tracking_number", "event_key", "substatus", "description", "superseded_at")
        keys = [record.key for record in records]
        for carrier, number, event_key, *values in self._database.select(self._events, names, self._account, keys):
            known.setdefault(ShipmentKey(str(carrier), str(number)), {})[str(event_key)] = tuple(values)
        counts = Counts()
        new: list[tuple[object, ...]] = []
        changed: list[tuple[object, ...]] = []
        for record in records:
            key, before = (self._account, *record.key), known.pop(record.key, {})
            for event in record.events:
                old = before.pop(event.event_key, None)
                if old is None:
                    new.append((*key, *event, self._now))
                elif _is_changed(event, *old):
                    changed.append((*key, event.event_key, event.substatus, event.description, None))
                else:
                    counts.unchanged += 1
            changed += [
                (*key, event_key, None, None, self._now)
                for event_key, (_, _, superseded_at) in before.items()
                if superseded_at is None
            ]
        self._database.insert(self._events, _NEW_EVENT, new)
        self._database.update(self._events, _columns(EVENTS, *EVENTS.key), _CHANGED_EVENT, changed, _EVENT_ASSIGNMENTS)
        counts.new, counts.changed = len(new), len(changed)
        return counts


def _sent(record: ShipmentRecord) -> tuple[object, ...]:
    return (*record.content, *record.personal, record.raw, record.content_hash)


def _is_changed(event: EventRow, substatus: object, description: object, superseded_at: object) -> bool:
    return (
        superseded_at is not None
        or (event.substatus is not None and event.substatus != substatus)
        or (event.description is not None and description is None)
    )


def _to_time(value: object) -> datetime:
    """Read a time in UTC as a driver returns it."""
    time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
