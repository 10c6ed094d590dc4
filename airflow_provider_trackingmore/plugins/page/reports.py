"""Cache the status reports for a few seconds in each process of the API server."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.status_reports.reader import ReportReader
from airflow_provider_trackingmore.status_reports.report import StatusReport
from airflow_provider_trackingmore.waiting.progress import WaitProgress

log = logging.getLogger(__name__)

FRESH_SECONDS = 10.0
"""Triggerers write once a minute."""


class Reports:
    """Reads status reports, at most once in :data:`FRESH_SECONDS`. Its methods block."""

    def __init__(self) -> None:
        self._reader = ReportReader()
        self._lock = threading.Lock()
        self._conn_ids: set[str] = set()
        self._read_at = float("-inf")
        self._reports: list[StatusReport] = []
        self._progress: dict[int, WaitProgress] = {}

    def read(self, conn_ids: Iterable[str] = ()) -> list[StatusReport]:
        """Return the reports, or those of the previous reading if they cannot be read.

        :param conn_ids: connections whose Redis servers are read.
        :return: the reports, the newest first.
        """
        new = set(conn_ids) - self._conn_ids
        with self._lock:
            if new or time.monotonic() - self._read_at > FRESH_SECONDS:
                self._conn_ids |= new
                try:
                    self._reports = self._reader.read(sorted(self._conn_ids))
                except Exception as error:
                    log.exception("The status reports cannot be read (%s)", type(error).__name__)
                self._read_at = time.monotonic()
                progress: dict[int, WaitProgress] = {}
                for report in reversed(self._reports):  # the newest report wins
                    progress |= report.progress
                self._progress = progress
            return self._reports

    def progress(self, conn_ids: Iterable[str] = ()) -> dict[int, WaitProgress]:
        """Return the progress of all waits.

        :param conn_ids: as for :meth:`read`.
        :return: trigger id -> progress.
        """
        self.read(conn_ids)
        return self._progress

    def settings(self, conn_id: str) -> ClientSettings | None:
        """Return the settings of a connection.

        :param conn_id: the connection.
        :return: None if there is no such connection, or if it is invalid.
        """
        return self._reader.settings(conn_id)
