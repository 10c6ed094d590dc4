"""Serialize the state of a slot clock to a record of fixed length, and parse it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

from airflow_provider_trackingmore.client.rate_limit.clock import SlotState

RECORD_BYTES = 256
"""All records have the same length, so that one write replaces the previous record."""


def encode(state: SlotState) -> bytes:
    """Serialize a state.

    :param state: the state.
    :return: one line of JSON, padded with blanks.
    """
    return json.dumps(asdict(state)).ljust(RECORD_BYTES - 1).encode() + b"\n"


def decode(data: bytes | str | None) -> SlotState:
    """Parse a state.

    :param data: a record; None or empty if there is none yet.
    :return: the state; a new one if the record is missing or damaged.
    """
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
