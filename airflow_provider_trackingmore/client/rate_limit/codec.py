"""A slot clock's state as bytes of one length, and back. Knows no store."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

from airflow_provider_trackingmore.client.rate_limit.clock import SlotState

RECORD_BYTES = 256
"""Every record has the same length, so that one write replaces the whole record before it."""


def encode(state: SlotState) -> bytes:
    """Write a state.

    :return: one line of JSON, padded.
    """
    return json.dumps(asdict(state)).ljust(RECORD_BYTES - 1).encode() + b"\n"


def decode(data: bytes | str | None) -> SlotState:
    """Read a state; whatever is none (nothing, something empty or damaged) is a fresh one."""
    try:
        record = json.loads(data or b"")
        numbers = [float(record[name]) for name in ("next_free_at", "earliest_at", "written_at", "margin")]
        departure = str(record["departure"])[:12]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return SlotState()
    if not all(math.isfinite(number) for number in numbers):
        return SlotState()
    next_free_at, earliest_at, written_at, margin = numbers
    return SlotState(next_free_at, earliest_at, departure, written_at, margin)
