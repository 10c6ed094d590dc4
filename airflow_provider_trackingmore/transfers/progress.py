"""The progress of a load in the task's log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from airflow_provider_trackingmore.loading.load import LoadSummary

INTERVAL_SECONDS = 30.0


class Log(Protocol):
    """A logger, of the standard library or of Airflow."""

    def info(self, event: str, /, *args: object) -> object:
        """Log a line."""


class ProgressLog:
    """Logs the progress of a load, at most every 30 s. Pass it to ``run_load``.

    :param log: the task's logger.
    :param clock: seconds of a monotonic clock.
    """

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._began = self._logged = clock()

    def __call__(self, summary: LoadSummary) -> None:
        """Log how far the load is, unless it was logged less than 30 s ago.

        :param summary: the counts so far.
        """
        now = self._clock()
        if now - self._logged < INTERVAL_SECONDS:
            return
        self._logged = now
        rate = summary.read / (now - self._began)
        self._log.info(
            "Loading: %d shipments read in %d calls, %d new and %d changed, %.0f shipments/s, %s",
            summary.read,
            summary.calls,
            summary.trackings.new,
            summary.trackings.changed,
            rate,
            _describe_remaining(summary, rate),
        )


def _describe_remaining(summary: LoadSummary, rate: float) -> str:
    if summary.total is None or rate <= 0:
        return "remaining: unknown"
    remaining = max(summary.total - summary.read, 0)
    return f"{remaining} remaining (about {remaining / rate:.0f} s)"
