"""What the files contain of each shipment, kept by the month of registration.

A load reads the months of the shipments that it meets, and writes those that change. A shipment that is not in its
month may be in another one, because it was deleted and registered again. So each month has an index: 8 bytes per
shipment.

Meanwhile the entries and the indexes are in a temporary database, so that memory does not grow with their number. Its
file has no name: it disappears with the process.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.target import KnownShipment
from airflow_provider_trackingmore.transfers.files.formats import open_gzip

SHIPMENTS_PER_FILE = 10_000
UNDATED = "undated"
DIGEST_SIZE = 8


@dataclass(frozen=True, slots=True)
class FiledShipment:
    """What the files contain of a shipment.

    :param known: what a load compares.
    :param events: the codes of its events, from :func:`~.events.compare_events`.
    """

    known: KnownShipment
    events: bytes


@dataclass(frozen=True, slots=True)
class MonthContent:
    """The new files of a month.

    :param index: the sorted digests of its shipments.
    :param parts: the content of the other files.
    """

    index: bytes
    parts: Iterator[bytes]


class ShipmentStore:
    """Looks up and changes what is known of shipments.

    :param months: the months of which something is known.
    :param read_month: reads the parts of a month, from :meth:`changed_months`.
    :param read_index: reads the index of a month.
    """

    def __init__(
        self, months: Iterable[str], read_month: Callable[[str], Iterator[bytes]], read_index: Callable[[str], bytes]
    ) -> None:
        self._unread = set(months)
        self._read_month = read_month
        self._read_index = read_index
        self._changed: set[str] = set()
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.create_function("digest", 2, _digest, deterministic=True)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            "CREATE TABLE shipment (month TEXT, carrier TEXT, number TEXT, content_hash TEXT, status TEXT, "
            "first_seen_at TEXT, changed_at TEXT, is_missing INTEGER, events BLOB, "
            "PRIMARY KEY (carrier, number)) WITHOUT ROWID"
        )
        self._database.execute("CREATE TABLE month_index (month TEXT PRIMARY KEY, digests BLOB)")

    def close(self) -> None:
        """Remove the temporary database."""
        self._database.close()

    def look_up(self, shipments: Mapping[ShipmentKey, int | None]) -> dict[ShipmentKey, FiledShipment]:
        """Look up shipments.

        :param shipments: shipments with the Unix seconds of their registration.
        :return: those that are known.
        """
        for month in {_month(created_at) for created_at in shipments.values()} & self._unread:
            self._load(month)
        found = self._select(shipments)
        others = [key for key in shipments if key not in found]
        if self._load_months_of(others):
            found |= self._select(others)
        return found

    def update(self, key: ShipmentKey, created_at: int | None, shipment: FiledShipment) -> None:
        """Set what the files contain of a shipment that was looked up.

        :param key: the shipment.
        :param created_at: Unix seconds of its registration.
        :param shipment: what they contain.
        """
        month = _month(created_at)
        if month in self._unread:
            self._load(month)
        before = self._database.execute("SELECT month FROM shipment WHERE carrier = ? AND number = ?", key).fetchone()
        self._changed |= {month, *(before or ())}
        known = shipment.known
        self._database.execute(
            "INSERT OR REPLACE INTO shipment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                month,
                *key,
                known.content_hash,
                known.status,
                known.first_seen_at.isoformat(),
                known.changed_at.isoformat(),
                int(known.is_missing),
                shipment.events,
            ),
        )

    def changed_months(self) -> Iterator[tuple[str, MonthContent]]:
        """Return the months that have changed, with their new content."""
        if self._changed:
            self._database.execute("CREATE INDEX shipment_month ON shipment (month)")
        for month in sorted(self._changed):
            digests = self._database.execute(
                "SELECT digest(carrier, number) FROM shipment WHERE month = ? ORDER BY 1", (month,)
            )
            index = bytearray()
            for (digest,) in digests:
                index += digest
            yield month, MonthContent(bytes(index), self._parts(month))

    def _parts(self, month: str) -> Iterator[bytes]:
        rows = self._database.execute(
            "SELECT carrier, number, content_hash, status, first_seen_at, changed_at, is_missing, events FROM shipment "
            "WHERE month = ? ORDER BY carrier, number",
            (month,),
        )
        while part := list(islice(rows, SHIPMENTS_PER_FILE)):
            file = io.BytesIO()
            with open_gzip(file) as compressed:
                for *values, events in part:
                    line = json.dumps([*values, base64.b64encode(events).decode("ascii")], separators=(",", ":"))
                    compressed.write(line.encode() + b"\n")
            yield file.getvalue()

    def _select(self, keys: Iterable[ShipmentKey]) -> dict[ShipmentKey, FiledShipment]:
        found = {}
        for key in keys:
            row = self._database.execute(
                "SELECT content_hash, status, first_seen_at, changed_at, is_missing, events FROM shipment "
                "WHERE carrier = ? AND number = ?",
                key,
            ).fetchone()
            if row is not None:
                found[key] = _from_row(*row)
        return found

    def _load(self, month: str) -> None:
        self._unread.remove(month)
        for content in self._read_month(month):
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as lines:
                self._database.executemany(
                    "INSERT INTO shipment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    ((month, *row[:-1], base64.b64decode(row[-1])) for row in map(json.loads, lines)),
                )

    def _load_months_of(self, keys: Iterable[ShipmentKey]) -> bool:
        """Load the months that contain one of these shipments, and return whether there was one."""
        digests = [_digest(*key) for key in keys]
        found = [month for month in sorted(self._unread) if digests and _contains_any(self._index(month), digests)]
        for month in found:
            self._load(month)
        return bool(found)

    def _index(self, month: str) -> bytes:
        row = self._database.execute("SELECT digests FROM month_index WHERE month = ?", (month,)).fetchone()
        if row is not None:
            stored: bytes = row[0]
            return stored
        index = self._read_index(month)
        self._database.execute("INSERT INTO month_index VALUES (?, ?)", (month, index))
        return index


def _month(created_at: int | None) -> str:
    return datetime.fromtimestamp(created_at, UTC).strftime("%Y-%m") if created_at is not None else UNDATED


def _digest(carrier_code: str, tracking_number: str) -> bytes:
    text = f"{carrier_code}\x1f{tracking_number}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_SIZE).digest()


def _contains_any(index: bytes, digests: Iterable[bytes]) -> bool:
    def at(position: int) -> bytes:
        return index[position * DIGEST_SIZE : (position + 1) * DIGEST_SIZE]

    positions = range(len(index) // DIGEST_SIZE)
    return any(at(bisect_left(positions, digest, key=at)) == digest for digest in digests)


def _from_row(
    content_hash: str, status: str, first_seen_at: str, changed_at: str, is_missing: int, events: bytes
) -> FiledShipment:
    known = KnownShipment(
        content_hash,
        status,
        datetime.fromisoformat(first_seen_at),
        datetime.fromisoformat(changed_at),
        bool(is_missing),
    )
    return FiledShipment(known, events)
