"""The sandbox's clock, which can be sped up, moved forward and frozen."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

EARLIEST, LATEST = 0.0, datetime(9000, 1, 1, tzinfo=UTC).timestamp()
"""The clock runs from 1970 to 9000 and stops there, so that no date in a journey exceeds what datetime supports."""


class ClockError(ValueError):
    """An invalid change of the clock."""


def parse_time(text: str) -> float:
    """Parse an ISO 8601 time.

    :param text: an ISO 8601 time; without an offset it is taken as UTC.
    :return: Unix seconds.
    :raises ClockError: the text is no valid time, or outside the range of the clock.
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ClockError(f"{text!r} is not an ISO 8601 time such as 2026-03-02T08:00:00+00:00") from None
    instant = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    if not EARLIEST <= instant <= LATEST:
        raise ClockError("the clock runs from 1970 to 9000")
    return instant


class Clock:
    """A clock that runs ``time_scale`` times faster than the real one, and can be moved forward and frozen.

    :param start: start of the clock in Unix seconds; None means now.
    :param time_scale: clock seconds per real second.
    :param monotonic: the real monotonic clock, in seconds.
    """

    def __init__(
        self, start: float | None = None, time_scale: float = 1.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.monotonic = monotonic
        self.frozen = False
        self.restart(start, time_scale)

    def restart(self, start: float | None, time_scale: float) -> None:
        """Restart the clock; the only way to move it back.

        :param start: Unix seconds; None means now.
        :param time_scale: clock seconds per real second.
        """
        self._anchor_clock = time.time() if start is None else start
        self._anchor_real = self.monotonic()
        self.time_scale = _validate_time_scale(time_scale)
        self.frozen = False

    def now(self) -> float:
        """Return the present clock time.

        :return: clock time in Unix seconds.
        """
        return self.at(self.monotonic())

    def at(self, real: float) -> float:
        """Convert a reading of the real clock to clock time.

        :param real: a reading of the real monotonic clock. Readings before the last change of the clock count as the
            time of that change, so that no request is dated before a jump that has already happened.
        :return: clock time in Unix seconds.
        """
        if self.frozen:
            return self._anchor_clock
        return min(LATEST, self._anchor_clock + max(0.0, real - self._anchor_real) * self.time_scale)

    def advance(self, seconds: float) -> None:
        """Jump forward.

        :param seconds: clock seconds, 0 or more.
        :raises ClockError: the seconds are negative, or the clock would leave its range.
        """
        if not 0 <= seconds < float("inf"):
            raise ClockError("the clock only moves forward: advance it by 0 seconds or more, or reset the sandbox")
        if self.now() + seconds > LATEST:
            raise ClockError("the clock runs from 1970 to 9000")
        self._move_anchor(self.now() + seconds)

    def set(self, instant: float) -> None:
        """Jump to a time.

        :param instant: Unix seconds, not before the present clock time.
        :raises ClockError: the time has passed.
        """
        now = self.now()
        if instant < now:
            raise ClockError(f"the clock only moves forward and is already at {format_time(now)}: reset the sandbox")
        self._move_anchor(instant)

    def set_time_scale(self, time_scale: float) -> None:
        """Change the speed of the clock.

        :param time_scale: clock seconds per real second, above 0.
        """
        scale = _validate_time_scale(time_scale)
        self._move_anchor(self.now())
        self.time_scale = scale

    def freeze(self, frozen: bool) -> None:
        """Freeze or unfreeze the clock.

        :param frozen: True freezes it.
        """
        self._move_anchor(self.now())
        self.frozen = frozen

    def _move_anchor(self, instant: float) -> None:
        self._anchor_clock = instant
        self._anchor_real = self.monotonic()


def format_time(instant: float) -> str:
    """Format a time as ISO 8601.

    :param instant: Unix seconds.
    :return: the time in UTC, in whole seconds.
    """
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="seconds")


def _validate_time_scale(time_scale: float) -> float:
    if not 0 < time_scale < float("inf"):
        raise ClockError("time_scale must be a number above 0; to stop the clock, freeze it")
    return float(time_scale)
