"""Times and periods on the command line: ``7d``, ``2026-03-01``, ``2026-03-01T08:00+01:00``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}

_PERIOD = re.compile(rf"([0-9]{{1,6}})([{''.join(UNITS)}])")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_time(text: str, *, now: datetime, end_of_day: bool = False) -> datetime:
    """Read a time.

    :param text: a period before ``now`` (``30m``, ``12h``, ``7d``, ``2w``), or ISO 8601; UTC if it has no offset.
    :param now: the current time.
    :param end_of_day: whether a date without a time means its last second instead of its first.
    :return: an aware datetime.
    :raises ValueError: if it is neither, or before 1970.
    """
    import pendulum  # slow, and not needed for --help

    text = text.strip()
    if _PERIOD.fullmatch(text):
        try:
            parsed = pendulum.instance(now) - parse_period(text)
        except OverflowError:
            raise ValueError(f"{text!r} is too long ago") from None
    else:
        try:
            parsed = pendulum.instance(datetime.fromisoformat(text))
        except ValueError:
            example = "a time such as 7d, 12h, 2026-03-01 or 2026-03-01T08:00+01:00"
            raise ValueError(f"{text!r} is not {example}") from None
        if end_of_day and _DAY.fullmatch(text):
            parsed = parsed.end_of("day").start_of("second")
    if parsed.timestamp() < 0:
        raise ValueError(f"{text!r} is too long ago")
    return parsed


def parse_period(text: str) -> timedelta:
    """Read a period.

    :param text: a whole number and a unit: ``45s``, ``30m``, ``12h``, ``7d``, ``2w``.
    :return: the period.
    :raises ValueError: if it is anything else.
    """
    period = _PERIOD.fullmatch(text.strip())
    if period is None:
        raise ValueError(f"{text!r} is not a period such as 45s, 30m, 12h or 7d")
    return int(period[1]) * UNITS[period[2]]
