"""Convert the dates and times that users pass to the formats that the API documents (reference 1.1, 1.6)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from airflow_provider_trackingmore.api.json_values import parse_datetime
from airflow_provider_trackingmore.api.limits import END_OF_YEAR_9999

_DIGITS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_DATE_AND_TIME = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})(?:[T ]+([0-9]{1,2})(:.+))?")
"""``2017/8/27 9:05`` and ISO 8601; the vendor's samples have both."""


def format_ship_date(value: object) -> str | None:
    """Format a date for ``tracking_ship_date``: ``YYYYMMDD``.

    :param value: a date, a datetime, ISO 8601 or ``YYYY/M/D`` text, ``YYYYMMDD``, or Unix seconds.
    :return: the calendar date at the value's own offset (Unix seconds: in UTC); None if it is not a date.
    """
    try:
        day = _parse(value)
        return f"{day.year:04d}{day.month:02d}{day.day:02d}" if day is not None else None
    except (ValueError, OverflowError):
        return None


def format_order_time(value: object) -> str | None:
    """Format a time for ``order_create_time``: ``YYYY/MM/DD HH:MM``, which cannot express an offset.

    :param value: as in :func:`format_ship_date`.
    :return: a time with an offset in UTC, one without unchanged; None if it is not a time.
    """
    try:
        time = _parse(value)
        if time is None:
            return None
        if isinstance(time, datetime) and time.tzinfo is not None:
            time = time.astimezone(UTC)
        hour, minute = (time.hour, time.minute) if isinstance(time, datetime) else (0, 0)
        return f"{time.year:04d}/{time.month:02d}/{time.day:02d} {hour:02d}:{minute:02d}"
    except (ValueError, OverflowError):
        return None


def to_unix_seconds(value: object) -> int | None:
    """Convert a time for the list filters.

    :param value: an aware datetime, ISO 8601 text with an offset, or Unix seconds as a number or text.
    :return: whole Unix seconds; None for anything else. The zone of a time without offset is never guessed.
    """
    seconds = _to_number(value)
    try:
        if isinstance(value, datetime) and value.tzinfo is not None:
            seconds = value.timestamp()
        elif isinstance(value, str) and seconds is None and (time := parse_datetime(value.strip())) is not None:
            seconds = time.timestamp()
        return int(seconds) if seconds is not None and 0 <= seconds < END_OF_YEAR_9999 else None
    except (ValueError, OverflowError):
        return None


def _parse(value: object) -> datetime | date | None:
    if isinstance(value, date):
        return value
    number = _to_number(value)
    if number is not None:
        return _from_number(number)
    text = value.strip() if isinstance(value, str) else ""
    if not text or text.isdigit():  # too many or too few digits: fromisoformat() would read some of them as dates
        return None
    if match := _DATE_AND_TIME.fullmatch(text):
        year, month, day, hour, rest = match.groups()
        text = f"{year}-{month:0>2}-{day:0>2}" + (f"T{hour:0>2}{rest}" if hour else "")
    return datetime.fromisoformat(text)


def _from_number(number: float) -> datetime | date | None:
    if 1000_01_01 <= number <= 9999_12_31 and number == int(number):
        return date(int(number) // 10_000, int(number) // 100 % 100, int(number) % 100)
    return datetime.fromtimestamp(number, UTC) if 1e8 <= number < END_OF_YEAR_9999 else None


def _to_number(value: object) -> float | None:
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return float(value.strip())
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
