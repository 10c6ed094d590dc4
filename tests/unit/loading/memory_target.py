"""The rules of the tables in a few lines: a target that keeps its rows in dicts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.schema import CONTENT_COLUMNS
from airflow_provider_trackingmore.loading.target import Batch, Counts, KnownShipment

NAMES = [column.name for column in CONTENT_COLUMNS]


class MemoryTarget:
    def __init__(self) -> None:
        self.trackings: dict[ShipmentKey, dict[str, Any]] = {}
        self.events: dict[tuple[ShipmentKey, str], dict[str, Any]] = {}
        self.changes: list[tuple[datetime, ShipmentKey, str | None, str]] = []
        self.now = datetime.min.replace(tzinfo=UTC)

    def copy(self) -> MemoryTarget:
        return copy.deepcopy(self)

    def known(self, keys: Sequence[ShipmentKey]) -> dict[ShipmentKey, KnownShipment]:
        return {
            key: KnownShipment(
                row["content_hash"],
                row["status"],
                row["first_seen_at"],
                row["changed_at"],
                row["missing_since"] is not None,
            )
            for key in keys
            if (row := self.trackings.get(key))
        }

    def write(self, batch: Batch) -> Counts:
        counts = Counts()
        for record in batch.new:
            assert record.key not in self.trackings
        for record in (*batch.new, *batch.changed):
            old = self.trackings.get(record.key)
            row = dict(zip(NAMES, record.content, strict=True))
            if old is not None:
                for column in CONTENT_COLUMNS:
                    if column.keeps_known and row[column.name] is None:
                        row[column.name] = old[column.name]
            row |= {"content_hash": record.content_hash, "changed_at": self.now, "missing_since": None}
            row["first_seen_at"] = old["first_seen_at"] if old else self.now
            self.trackings[record.key] = row
            for event in record.events:
                stored = self.events.setdefault(
                    (record.key, event.event_key), {"superseded_at": None, **event._asdict()}
                )
                stored["superseded_at"] = None
            for (key, event_key), stored in self.events.items():
                if key == record.key and event_key not in record.event_keys:
                    stored["superseded_at"] = stored["superseded_at"] or self.now
        self.changes += [
            (self.now, change.key, change.previous_status, change.status) for change in batch.status_changes
        ]
        for key in batch.missing:
            self.trackings[key]["missing_since"] = self.now
        return counts
