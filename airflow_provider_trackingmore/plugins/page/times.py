"""Format times for the page."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow_provider_trackingmore.api.limits import END_OF_YEAR_9999


def to_iso(seconds: float | None) -> str | None:
    """Format a time.

    :param seconds: Unix seconds, or None.
    :return: a text such as ``2026-11-29T18:02:11Z``; None if there is no such time.
    """
    if seconds is None or not 0 <= seconds < END_OF_YEAR_9999:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
