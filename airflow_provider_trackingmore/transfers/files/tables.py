"""The tables as files contain them.

Rows are only ever appended, and views derive the rest: the newest row of a shipment, and ``superseded_at``. For that a
tracking row lists the events that the answer contained.
"""

from __future__ import annotations

from airflow_provider_trackingmore.loading.schema import EVENTS, STATUS_CHANGES, TRACKINGS, Column, ColumnType, Table

FILE_TRACKINGS = Table(
    TRACKINGS.name,
    (
        *TRACKINGS.columns,
        Column("event_keys", ColumnType.TEXTS, "The `event_key` of each event that the answer contained; null in a row "
               "that only says that the shipment is missing."),
    ),
    (*TRACKINGS.key, "changed_at"),
)  # fmt: skip
"""One row per load that found a shipment new or changed, or missing."""

FILE_EVENTS = Table(
    EVENTS.name,
    tuple(column for column in EVENTS.columns if column.name != "superseded_at"),
    (*EVENTS.key, "first_seen_at"),
)
"""One row per event; another one only if its substatus or text arrives later or changes."""

FILE_TABLES = {table.name: table for table in (FILE_TRACKINGS, FILE_EVENTS, STATUS_CHANGES)}
