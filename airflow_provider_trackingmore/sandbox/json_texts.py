"""Texts and times as JSON. A page of a list holds tens of thousands of them: the ``json`` module would be too slow."""

from __future__ import annotations

import json
from datetime import date, timedelta
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any

_EPOCH = date(1970, 1, 1)
_MINUTES = tuple(f"{minute // 60:02}:{minute % 60:02}" for minute in range(1_440))
_SECONDS = tuple(f":{second:02}" for second in range(60))

quote = encode_basestring_ascii
"""Encodes a text as JSON, with the quotation marks."""


def encode_value(value: Any) -> str:
    """Encode a value as JSON.

    :param value: any value that JSON can hold.
    :return: JSON in ASCII without blanks.
    """
    return json.dumps(value, separators=(",", ":"))


@lru_cache(maxsize=4_096)
def _day(days: int) -> str:
    return (_EPOCH + timedelta(days)).isoformat()


def format_local_time(local_time: int, seconds: bool) -> str:
    """Format the time of a checkpoint.

    :param local_time: local time in seconds, as if it were UTC.
    :param seconds: whether to show the seconds.
    :return: such as ``2026-03-02 08:00:00``.
    """
    days, second = divmod(local_time, 86_400)
    minute, second = divmod(second, 60)
    text = f"{_day(days)} {_MINUTES[minute]}"
    return text + _SECONDS[second] if seconds else text


def format_offset_time(unix: float, shift: int, offset: str) -> str:
    """Format a time of the account with an offset.

    :param unix: Unix seconds.
    :param shift: the offset in seconds.
    :param offset: the offset as text, such as ``+08:00``.
    :return: such as ``2026-03-02T08:00:00+08:00``.
    """
    days, second = divmod(int(unix // 1) + shift, 86_400)
    minute, second = divmod(second, 60)
    return f"{_day(days)}T{_MINUTES[minute]}{_SECONDS[second]}{offset}"
