"""Snapshots of the open waits in one process of the API server, which are refreshed while somebody opens the page."""

from __future__ import annotations

import asyncio
import logging
import math
import time

from airflow_provider_trackingmore.plugins.deferred_waits import DeferredWaits
from airflow_provider_trackingmore.plugins.page.errors import PageError
from airflow_provider_trackingmore.plugins.page.reports import Reports
from airflow_provider_trackingmore.plugins.page.waits import Snapshot, waiting_since
from airflow_provider_trackingmore.plugins.task_waits import count_undeferred

log = logging.getLogger(__name__)

FRESH_SECONDS = 5.0
"""If the snapshot is older than this, a new one is taken in the background."""
OLD_SECONDS = 30.0
"""If the snapshot is older than this, the request also waits for the new one."""
PATIENCE_SECONDS = 1.0
"""The maximum time that a request waits for a new snapshot."""


class WaitIndex:
    """Takes snapshots of the open waits, off the event loop.

    :param waits: the index of the deferred waits, which webhooks use too.
    :param reports: the status reports.
    """

    def __init__(self, waits: DeferredWaits, reports: Reports) -> None:
        self._waits = waits
        self._reports = reports
        self._snapshot: Snapshot | None = None
        self._task: asyncio.Task[None] | None = None

    async def snapshot(self) -> Snapshot:
        """Return the latest snapshot, and take a new one if it is no longer fresh.

        :raises PageError: 503 if there is no snapshot yet.
        """
        age = self._age()
        if age > FRESH_SECONDS and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._refresh(), name="trackingmore-page")
        if age > OLD_SECONDS and self._task is not None:
            await asyncio.wait({self._task}, timeout=PATIENCE_SECONDS)
        if self._snapshot is None:
            if self._task is not None and not self._task.done():
                raise PageError(503, "The open waits are being read for the first time.", "It takes a few seconds.")
            raise PageError(503, "The open waits cannot be read.", "The log of the API server says why.")
        return self._snapshot

    async def _refresh(self) -> None:
        try:
            self._snapshot = await asyncio.to_thread(self._read)
        except Exception as error:
            log.exception("The open waits cannot be read (%s)", type(error).__name__)

    def _read(self) -> Snapshot:
        self._waits.refresh()
        waits = sorted(self._waits.all(), key=lambda wait: (waiting_since(wait), wait.trigger_id))
        conn_ids = {wait.conn_id for wait in waits} - {""}
        return Snapshot(self._waits.read_at, waits, self._reports.progress(conn_ids), count_undeferred())

    def _age(self) -> float:
        if self._snapshot is None:
            return math.inf
        age = time.time() - self._snapshot.read_at
        return age if age >= 0 else math.inf  # the clock was set back
