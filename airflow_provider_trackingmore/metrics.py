"""Airflow's own metrics: sends what clients and waits tell to wherever Airflow sends its own. Knows names and units."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow_provider_trackingmore.client.observer import Counter, Gauge, Observer, Timing

stats: Any
try:
    from airflow.providers.common.compat.sdk import Stats as stats
except ImportError:  # an Airflow to come may have moved it: tasks do without metrics rather than without Airflow
    stats = None

log = logging.getLogger(__name__)

PREFIX = "trackingmore."


class AirflowMetrics(Observer):
    """Hands on to Airflow's stats, under :data:`PREFIX`. No name and no tag says whose account it is."""

    def count(self, name: Counter) -> None:
        """Increment a counter."""
        self._send("incr", name)

    def timing(self, name: Timing, seconds: float) -> None:
        """Add to a timer, which shows milliseconds."""
        self._send("timing", name, timedelta(seconds=seconds))  # the one form that every backend takes in one unit

    def gauge(self, name: Gauge, value: float) -> None:
        """Set a gauge."""
        self._send("gauge", name, value)

    def _send(self, kind: str, name: str, *value: object) -> None:
        if stats is None:
            return
        try:
            getattr(stats, kind)(PREFIX + name, *value)
        except Exception:  # a backend that is broken breaks no task
            log.debug("Airflow's metrics did not take %s", name, exc_info=True)


METRICS = AirflowMetrics()
