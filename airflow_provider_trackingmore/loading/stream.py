"""The rows of a load as plain dicts, for users who write them with dlt, pandas or their own code."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.load import Load, LoadOptions, LoadSummary
from airflow_provider_trackingmore.loading.rows import ShipmentRecord
from airflow_provider_trackingmore.loading.schema import CONTENT_COLUMNS, PERSONAL_COLUMNS, ColumnType
from airflow_provider_trackingmore.loading.source import ShipmentSource
from airflow_provider_trackingmore.loading.state import LoadState, LoadStateError
from airflow_provider_trackingmore.loading.target import Batch, KnownShipment

_COLUMNS = (*CONTENT_COLUMNS, *PERSONAL_COLUMNS)
_DAMAGED = "The state of this stream is damaged: start again without a state, which reads everything again"


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows that are new or have changed: column -> value. Merge them by the key of each table.

    :param trackings: rows of ``trackings``; key ``account``, ``carrier_code``, ``tracking_number``. A column that the
        vendor has not sent is None: keep your value.
    :param events: all events of the shipments in ``trackings``, **those of earlier streams included**, without the
        column ``superseded_at``; key as in ``trackings`` and ``event_key``. Their ``first_seen_at`` is the time of this
        stream: insert events that you do not have, and leave the others as they are. Events of these shipments that you
        have and that are not among them were reworded or withdrawn.
    :param status_changes: rows of ``tracking_status_changes``; key as in ``trackings`` and ``observed_at``.
    :param missing: the keys of shipments that are no longer registered, with ``missing_since``.
    """

    trackings: list[dict[str, object]]
    events: list[dict[str, object]]
    status_changes: list[dict[str, object]]
    missing: list[dict[str, object]]


class ShipmentStream:
    """Iterates over what has changed since a state, in batches of up to 2,000 shipments.

    Requests are sent as the batches are consumed. :attr:`state` is available after the last batch: store it together
    with the rows. It forgets settled shipments: if one of them changes nevertheless, it is reported as new, with a
    later ``first_seen_at`` and without ``previous_status``.

    :param source: reads the account.
    :param state: the ``state`` of the previous stream; None or an empty mapping for everything.
    :param options: what to load.
    :param now: the start, in UTC.
    :raises LoadStateError: if the state cannot be used.
    """

    def __init__(
        self, source: ShipmentSource, state: Mapping[str, object] | None, options: LoadOptions, now: datetime
    ) -> None:
        self._account = options.rows.account
        self._now = now
        before, shipments = _read_state(state) if state else (LoadState(), "")
        self._memory = _Memory(shipments, now)
        self._load = Load(source, self._memory.known, before, options, now)
        self._state: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[RowBatch]:
        for batch in self._load.batches():
            self._memory.update(batch)
            yield self._to_rows(batch)
        after = self._load.next_state()
        self._state = {"load": after.to_dict(), "shipments": self._memory.to_text(after)}

    @property
    def state(self) -> dict[str, object]:
        """The state for the next stream, as JSON-serializable data.

        :raises RuntimeError: if the stream has not been read to its end.
        """
        if self._state is None:
            raise RuntimeError("the state is available only after all batches have been read")
        return self._state

    @property
    def summary(self) -> LoadSummary:
        """The counts of what has been read so far."""
        return self._load.summary

    def _to_rows(self, batch: Batch) -> RowBatch:
        records = [*batch.new, *batch.changed]
        return RowBatch(
            trackings=[self._tracking_row(record) for record in records],
            events=[
                {
                    **self._key(record.key),
                    **event._asdict(),
                    "event_time_local": _to_datetime(event.event_time_local),
                    "first_seen_at": self._now,
                }
                for record in records
                for event in record.events
            ],
            status_changes=[
                {
                    **self._key(change.key),
                    "observed_at": self._now,
                    "previous_status": change.previous_status,
                    "status": change.status,
                    "substatus": change.substatus,
                }
                for change in batch.status_changes
            ],
            missing=[{**self._key(key), "missing_since": self._now} for key in batch.missing],
        )

    def _key(self, key: ShipmentKey) -> dict[str, str]:
        return {"account": self._account, **key._asdict()}

    def _tracking_row(self, record: ShipmentRecord) -> dict[str, Any]:
        values = zip(_COLUMNS, (*record.content, *record.personal), strict=True)
        return {
            **self._key(record.key),
            **{
                column.name: _to_datetime(value) if column.type is ColumnType.LOCAL else value
                for column, value in values
            },
            "raw": record.raw,
            "content_hash": record.content_hash,
            "first_seen_at": self._memory.first_seen_at(record.key),
            "changed_at": self._now,
            "last_seen_at": self._now,
            "missing_since": None,
        }


class _Memory:
    """The shipments that later loads of the stream may read again: they are open, or inside its window."""

    def __init__(self, text: str, now: datetime) -> None:
        self._now = now
        self._shipments: dict[ShipmentKey, KnownShipment] = {}
        self._created: dict[ShipmentKey, datetime | None] = {}
        try:
            rows = json.loads(zlib.decompress(base64.b64decode(text))) if text else []
            for carrier, number, created_at, content_hash, status, first_seen_at, changed_at, is_missing in rows:
                key = ShipmentKey(carrier, number)
                self._created[key] = datetime.fromisoformat(created_at) if created_at else None
                self._shipments[key] = KnownShipment(
                    content_hash,
                    status,
                    datetime.fromisoformat(first_seen_at),
                    datetime.fromisoformat(changed_at),
                    is_missing,
                )
        except (ValueError, TypeError, zlib.error) as error:
            raise LoadStateError(_DAMAGED) from error

    def known(self, shipments: Mapping[ShipmentKey, int | None]) -> dict[ShipmentKey, KnownShipment]:
        return {key: self._shipments[key] for key in shipments if key in self._shipments}

    def first_seen_at(self, key: ShipmentKey) -> datetime:
        return self._shipments[key].first_seen_at

    def update(self, batch: Batch) -> None:
        for record in (*batch.new, *batch.changed):
            old = self._shipments.get(record.key)
            first_seen_at = old.first_seen_at if old else self._now
            self._created[record.key] = record.created_at
            self._shipments[record.key] = KnownShipment(record.content_hash, record.status, first_seen_at, self._now)
        for key in batch.missing:
            old = self._shipments[key]
            self._shipments[key] = KnownShipment(
                old.content_hash, old.status, old.first_seen_at, old.changed_at, is_missing=True
            )

    def to_text(self, state: LoadState) -> str:
        mark = state.mark or 0
        rows = [
            [
                *key,
                created_at.isoformat() if created_at else None,
                known.content_hash,
                known.status,
                known.first_seen_at.isoformat(),
                known.changed_at.isoformat(),
                known.is_missing,
            ]
            for key, created_at in self._created.items()
            if key in state.open or (created_at is not None and created_at.timestamp() >= mark - 1)
            for known in (self._shipments[key],)
        ]
        return base64.b64encode(zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 6)).decode("ascii")


def _read_state(stored: Mapping[str, Any]) -> tuple[LoadState, str]:
    """Read a state: that of the load, and the text of :class:`_Memory`."""
    load, shipments = stored.get("load"), stored.get("shipments")
    if not isinstance(load, Mapping) or not isinstance(shipments, str):
        raise LoadStateError(_DAMAGED)
    return LoadState.from_dict(load), shipments


def _to_datetime(local: Any) -> datetime | None:
    return datetime.fromisoformat(local) if local is not None else None
