"""Send the metrics of clients and waits to the backend that Airflow itself uses (StatsD or OpenTelemetry)."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow_provider_trackingmore.client.observer import Counter, Gauge, Observer, Timing

stats: Any
try:
    from airflow.providers.common.compat.sdk import Stats as stats
except ImportError:  # a later Airflow may have moved it: tasks run without metrics then
    stats = None

log = logging.getLogger(__name__)

PREFIX = "trackingmore."


class AirflowMetrics(Observer):
    """Sends metrics to Airflow's stats, prefixed with :data:`PREFIX`. Nothing identifies the account."""

    def count(self, name: Counter, number: int = 1) -> None:
        """Increment a counter."""
        self._send("incr", name, number)

    def timing(self, name: Timing, seconds: float) -> None:
        """Add a value to a timer, which is shown in milliseconds."""
        self._send("timing", name, timedelta(seconds=seconds))  # every backend converts a timedelta to the same unit

    def gauge(self, name: Gauge, value: float) -> None:
        """Set a gauge."""
        self._send("gauge", name, value)

    def _send(self, kind: str, name: str, *value: object) -> None:
        if stats is None:
            return
        try:
            getattr(stats, kind)(PREFIX + name, *value)
        except Exception:  # a broken backend must not fail a task
            log.debug("Airflow's metrics backend rejected %s", name, exc_info=True)


METRICS = AirflowMetrics()
