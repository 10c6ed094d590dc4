"""How many API calls the loads of some nights take, beside the fewest that are possible."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from math import ceil
from pathlib import Path
from typing import Any
from unittest import mock

import requests

from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS, PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.state import LoadState
from airflow_provider_trackingmore.sandbox.process import SandboxProcess

OVER_DAYS = 85
"""Below the 90 days of ``max_open``: the first nights have no stragglers."""


@dataclass(frozen=True)
class Night:
    """The calls of a load.

    :param name: what happened since the load before.
    :param calls: requests that the sandbox has received.
    :param rows: shipments in the window.
    :param changed: older shipments that the query for changes returns.
    :param stragglers: older shipments that were not settled, and are not among those.
    :param has_window: whether it reads changes of older ones at all, as all but the first load do.
    """

    name: str
    calls: int
    rows: int
    changed: int
    stragglers: int
    has_window: bool

    @property
    def fewest(self) -> int:
        """Pages of the window and of the changes, and lookups of the stragglers."""
        return self._pages + ceil(self.stragglers / FILTER_NUMBERS)

    @property
    def allowed(self) -> float:
        """How many there may be."""
        return self._pages * 1.05 + ceil(self.stragglers / FILTER_NUMBERS) + 2

    @property
    def _pages(self) -> int:
        return max(1, ceil(self.rows / PAGE_SIZE)) + (max(1, ceil(self.changed / PAGE_SIZE)) if self.has_window else 0)


def count_calls(shipments: int) -> Iterator[Night]:
    """Load into SQLite night after night.

    :param shipments: the size of the account.
    :return: the nights.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        SandboxProcess(parcels=shipments, over_days=OVER_DAYS, no_limits=True, cached_journeys=shipments) as sandbox,
    ):
        sandbox.freeze()
        nights = _Nights(sandbox, Path(folder))
        yield nights.load("first load")
        sandbox.advance(minutes=10)
        yield nights.load("quiet night")
        sandbox.advance(days=1)
        sandbox.seed(max(1, shipments // 20), ages_days=(0, 1), seed=1)
        yield nights.load("busy night")
        sandbox.advance(days=60)
        yield nights.load("60 days later")
        nights.reopen_oldest(shipments // 20)
        yield nights.load("the night after")


def report(nights: Iterator[Night]) -> None:
    """Print a table.

    :param nights: what was counted.
    """
    _row("load", "in the window", "older, changed", "stragglers", "calls", "fewest", "allowed")
    for night in nights:
        numbers = (night.rows, night.changed, night.stragglers, night.calls, night.fewest)
        _row(night.name, *(f"{number:,}" for number in numbers), f"{night.allowed:.1f}")


class _Nights:
    def __init__(self, sandbox: SandboxProcess, folder: Path) -> None:
        self._sandbox = sandbox
        self._file = folder / "nights.db"
        os.environ["TRACKINGMORE_PACING_DIR"] = str(folder)
        os.environ["AIRFLOW_CONN_TRACKINGMORE_DEFAULT"] = json.dumps(sandbox.connection)
        os.environ["AIRFLOW_CONN_BENCHMARK_NIGHTS"] = json.dumps({"conn_type": "sqlite", "host": str(self._file)})

    def load(self, name: str) -> Night:
        from airflow_provider_trackingmore.transfers import trackingmore_to_sql

        before = self._state()
        seen = self._sandbox.ledger()["requests"]
        operator = trackingmore_to_sql.TrackingMoreToSqlOperator(task_id="load", sql_conn_id="benchmark_nights")
        now = datetime.fromisoformat(self._sandbox.clock()["now"])
        with mock.patch.object(trackingmore_to_sql, "utc_now", return_value=now):  # the sandbox's clock has jumped
            result: dict[str, Any] = operator.execute({})
        calls = self._sandbox.ledger()["requests"] - seen
        assert result["api_calls"] == calls
        begin = result["window"]["from"]
        if begin is None:
            return Night(name, calls, self._count(), 0, 0, has_window=False)
        start = int(datetime.fromisoformat(begin).timestamp())
        changed = self._list(created_at_max=start, update_time_min=before.cursor)
        older = {key for key, created_at in before.open.items() if created_at is not None and created_at < start}
        window = self._count(created_at_min=start - 1)
        return Night(name, calls, window, len(changed), len(older - changed), has_window=True)

    def reopen_oldest(self, number: int) -> None:
        """Put the shipments that were delivered first back into transit.

        :param number: how many.
        """
        with closing(sqlite3.connect(self._file)) as connection:
            oldest = connection.execute(
                "SELECT carrier_code, tracking_number FROM trackings WHERE status = 'delivered' "
                "ORDER BY created_at LIMIT ?",
                [number],
            ).fetchall()
        for carrier_code, tracking_number in oldest:
            self._sandbox.reopen(carrier_code, tracking_number)

    def _state(self) -> LoadState:
        if not self._file.exists():
            return LoadState()
        with closing(sqlite3.connect(self._file)) as connection:
            ((text,),) = connection.execute("SELECT state FROM trackingmore_load_state")
        return LoadState.from_dict(json.loads(text))

    def _count(self, **filters: int | None) -> int:
        data = self._request(filters | {"limit": 1})
        return int(data["total"]) if data else 0

    def _list(self, **filters: int | None) -> set[ShipmentKey]:
        found: set[ShipmentKey] = set()
        for page in count(1):
            data = self._request(filters | {"limit": PAGE_SIZE, "page": page})
            items = data["items"] if data else []
            found.update(ShipmentKey(item["carrier_code"], item["tracking_number"]) for item in items)
            if len(items) < PAGE_SIZE:
                break
        return found

    def _request(self, query: dict[str, int | None]) -> Any:
        """Send a query of the load again. The clock of the sandbox is frozen."""
        address = f"{self._sandbox.base_url}/trackings/get"
        headers = {"Trackingmore-Api-Key": self._sandbox.api_key}
        return requests.get(address, query, headers=headers, timeout=60).json()["data"]


def _row(*cells: str) -> None:
    widths = (32, 15, 16, 12, 7, 8, 7)
    print("".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip(), flush=True)
