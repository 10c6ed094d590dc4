"""The account that the benchmark loads: read once into files of 2,000 records, and replayed from them."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.loading.rows import RowOptions, ShipmentRecord, build_record

ACCOUNT = "benchmark"


def save_pages(trackings: Iterable[Tracking], folder: Path) -> tuple[int, int]:
    """Save the records of an account.

    :param trackings: the shipments.
    :param folder: where.
    :return: the number of shipments, and of their events.
    """
    rows = iter(trackings)
    shipments = events = number = 0
    while records := [build_record(row, RowOptions(ACCOUNT)) for row in islice(rows, PAGE_SIZE)]:
        (folder / f"{number:05d}.page").write_bytes(pickle.dumps(records, pickle.HIGHEST_PROTOCOL))
        number += 1
        shipments += len(records)
        events += sum(len(record.events) for record in records)
    return shipments, events


class ReadPages:
    """Replays what was saved. It takes the place of a load's source of shipments.

    :param folder: where it was saved.
    :param limit: how many shipments to replay; None for all.
    """

    total: int | None = None
    calls = 0

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self._folder = folder
        self._limit = limit
        self.seconds = 0.0
        self.processor = 0.0

    def pages(self) -> Iterator[list[ShipmentRecord]]:
        """Read the pages; the time that this takes is counted in ``seconds`` and ``processor``."""
        for file in sorted(self._folder.glob("*.page")):
            began, used = time.monotonic(), time.process_time()
            records = pickle.loads(file.read_bytes())[: self._limit]
            self.seconds += time.monotonic() - began
            self.processor += time.process_time() - used
            yield records
            del records
            if self._limit is not None:
                return

    def shipment_source(self) -> ReadPages:
        """Return the source of a load, as a hook does."""
        return self

    def list_trackings(self, _: Mapping[str, object]) -> Iterator[Any]:
        """Replay the list."""
        for page in self.pages():
            yield from page

    def find(self, keys: Iterable[ShipmentKey]) -> dict[ShipmentKey, Tracking]:
        """Look shipments up: all of them are in the list."""
        raise AssertionError(f"not in the list: {list(keys)[:3]}")

    def get(self, key: ShipmentKey) -> Tracking | None:
        """Look a shipment up: all of them are in the list."""
        raise AssertionError(f"not in the list: {key}")


def saved_record(record: ShipmentRecord, _: RowOptions) -> ShipmentRecord:
    """Replace ``build_record``: replayed records have been built already.

    :param record: the record.
    :return: the same.
    """
    return record
