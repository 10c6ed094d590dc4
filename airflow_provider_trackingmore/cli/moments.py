"""Times as people type them: ``7d``, ``2026-03-01``, ``2026-03-01T08:00+01:00``. Gets the clock passed in."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
FORMS = "a time such as 7d, 12h, 2026-03-01 or 2026-03-01T08:00+01:00"

_RELATIVE = re.compile(rf"([0-9]{{1,6}})([{''.join(UNITS)}])")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def moment(text: str, *, now: datetime, end: bool = False) -> datetime:
    """Read a time.

    :param text: so long ago (``30m``, ``12h``, ``7d``, ``2w``), or ISO 8601; UTC where it has no offset.
    :param now: the present.
    :param end: whether a day without a time means its last second and not its first.
    :return: an aware datetime.
    :raises ValueError: if it is neither, or lies before the year 1970.
    """
    if relative := _RELATIVE.fullmatch(text.strip()):
        try:
            read = now - int(relative[1]) * UNITS[relative[2]]
        except OverflowError:
            raise ValueError(f"{text!r} is too long ago") from None
    else:
        try:
            read = datetime.fromisoformat(text.strip())
        except ValueError:
            raise ValueError(f"{text!r} is not {FORMS}") from None
        if read.tzinfo is None:
            read = read.replace(tzinfo=UTC)
        if end and _DAY.fullmatch(text.strip()):
            read += timedelta(days=1, seconds=-1)
    if read < datetime.fromtimestamp(0, UTC):
        raise ValueError(f"{text!r} is too long ago")
    return read
