"""Dates and times as users write them, in the forms that the vendor documents (reference 1.1, 1.6). Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from airflow_provider_trackingmore.api.json_values import parse_datetime

_YEAR_10000 = 253402300800
"""In unix seconds. Whatever is larger must be milliseconds."""

_DIGITS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_WRITTEN = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})(?:[T ]+([0-9]{1,2})(:.+))?")
"""``2017/8/27 9:05`` and ISO 8601; the vendor's samples have both."""


def ship_date(value: object) -> str | None:
    """Write a date as ``tracking_ship_date`` has it: ``YYYYMMDD``.

    :param value: a date, a datetime, ISO 8601 or ``YYYY/M/D`` text, ``YYYYMMDD``, or unix seconds.
    :return: the calendar date that was written, at its own offset (unix seconds: in UTC); None when it is no date.
    """
    try:
        day = _read(value)
        return f"{day.year:04d}{day.month:02d}{day.day:02d}" if day is not None else None
    except (ValueError, OverflowError):
        return None


def order_time(value: object) -> str | None:
    """Write a time as ``order_create_time`` has it: ``YYYY/MM/DD HH:MM``, which has no place for an offset.

    :param value: as in :func:`ship_date`.
    :return: a time with an offset in UTC, one without as it was written; None when it is no time.
    """
    try:
        moment = _read(value)
        if moment is None:
            return None
        if isinstance(moment, datetime) and moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
        hour, minute = (moment.hour, moment.minute) if isinstance(moment, datetime) else (0, 0)
        return f"{moment.year:04d}/{moment.month:02d}/{moment.day:02d} {hour:02d}:{minute:02d}"
    except (ValueError, OverflowError):
        return None


def unix_seconds(value: object) -> int | None:
    """Write a time as the filters of the lists have it.

    :param value: an aware datetime, ISO 8601 text with an offset, or unix seconds as number or text.
    :return: whole unix seconds; None for anything else. A time without an offset is never given one.
    """
    seconds = _number(value)
    try:
        if isinstance(value, datetime) and value.tzinfo is not None:
            seconds = value.timestamp()
        elif isinstance(value, str) and seconds is None and (moment := parse_datetime(value.strip())) is not None:
            seconds = moment.timestamp()
        return int(seconds) if seconds is not None and 0 <= seconds < _YEAR_10000 else None
    except (ValueError, OverflowError):
        return None


def _read(value: object) -> datetime | date | None:
    if isinstance(value, date):
        return value
    number = _number(value)
    if number is not None:
        return _from_number(number)
    written = value.strip() if isinstance(value, str) else ""
    if not written or written.isdigit():  # other digits than dates and seconds have: Python would read some as dates
        return None
    if found := _WRITTEN.fullmatch(written):
        year, month, day, hour, rest = found.groups()
        written = f"{year}-{month:0>2}-{day:0>2}" + (f"T{hour:0>2}{rest}" if hour else "")
    return datetime.fromisoformat(written)


def _from_number(number: float) -> datetime | date | None:
    if 1000_01_01 <= number <= 9999_12_31 and number == int(number):
        return date(int(number) // 10_000, int(number) // 100 % 100, int(number) % 100)
    return datetime.fromtimestamp(number, UTC) if 1e8 <= number < _YEAR_10000 else None


def _number(value: object) -> float | None:
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return float(value)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
