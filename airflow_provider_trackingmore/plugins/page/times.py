"""Times as the page gets them."""

from __future__ import annotations

from datetime import UTC, datetime

LATEST = 253_402_300_799.0
"""The end of the year 9999."""


def to_iso(seconds: float | None) -> str | None:
    """Format a time.

    :param seconds: Unix seconds; None for none.
    :return: such as ``2026-11-29T18:02:11Z``.
    """
    if seconds is None or not 0 <= seconds <= LATEST:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
