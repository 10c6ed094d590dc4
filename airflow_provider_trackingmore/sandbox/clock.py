"""The sandbox's clock: knows how real seconds become clock seconds. Knows nothing of trackings or limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

EARLIEST, LATEST = 0.0, datetime(9000, 1, 1, tzinfo=UTC).timestamp()
"""The clock runs from 1970 to 9000, and stands still there: no date in a journey may lie beyond what can be written."""


class ClockError(ValueError):
    """A move that the clock does not make."""


def parse_instant(text: str) -> float:
    """Turn an ISO 8601 instant into unix seconds.

    :param text: an ISO 8601 text; without an offset it is read as UTC.
    :return: unix seconds.
    :raises ClockError: the text is not an instant, or one when the clock does not run.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ClockError(f"{text!r} is not an ISO 8601 instant such as 2026-03-02T08:00:00+00:00") from None
    instant = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not EARLIEST <= instant <= LATEST:
        raise ClockError("the clock runs from 1970 to 9000")
    return instant


class Clock:
    """A clock that runs ``time_scale`` times faster than the real one, can be moved forward, and can stand still.

    :param start: where the clock begins, in unix seconds; None begins at the real time.
    :param time_scale: clock seconds in a real second.
    :param monotonic: the real clock, in seconds.
    """

    def __init__(
        self, start: float | None = None, time_scale: float = 1.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.monotonic = monotonic
        self.frozen = False
        self.restart(start, time_scale)

    def restart(self, start: float | None, time_scale: float) -> None:
        """Begin anew, the one way back in time.

        :param start: unix seconds; None means the real time.
        :param time_scale: clock seconds in a real second.
        """
        self._anchor_clock = time.time() if start is None else start
        self._anchor_real = self.monotonic()
        self.time_scale = _checked_scale(time_scale)
        self.frozen = False

    def now(self) -> float:
        """Tell the time.

        :return: clock time in unix seconds.
        """
        return self.at(self.monotonic())

    def at(self, real: float) -> float:
        """Tell which clock time it was at a real instant.

        :param real: a reading of the real monotonic clock. Instants before the last move of the clock count as that
            move: a request must not be dated before a jump that has already happened.
        :return: clock time in unix seconds.
        """
        if self.frozen:
            return self._anchor_clock
        return min(LATEST, self._anchor_clock + max(0.0, real - self._anchor_real) * self.time_scale)

    def advance(self, seconds: float) -> None:
        """Jump forward.

        :param seconds: clock seconds, 0 or more.
        :raises ClockError: the jump would lead back, or too far.
        """
        if not 0 <= seconds < float("inf"):
            raise ClockError("the clock only moves forward: advance by 0 seconds or more, or reset the sandbox")
        if self.now() + seconds > LATEST:
            raise ClockError("the clock runs from 1970 to 9000")
        self._settle(self.now() + seconds)

    def set(self, instant: float) -> None:
        """Jump to an instant.

        :param instant: unix seconds, not before the present time of the clock.
        :raises ClockError: the instant has passed.
        """
        now = self.now()
        if instant < now:
            raise ClockError(f"the clock only moves forward and already shows {iso(now)}: reset the sandbox instead")
        self._settle(instant)

    def set_time_scale(self, time_scale: float) -> None:
        """Run faster or slower from now on.

        :param time_scale: clock seconds in a real second, above 0.
        """
        scale = _checked_scale(time_scale)
        self._settle(self.now())
        self.time_scale = scale

    def freeze(self, frozen: bool) -> None:
        """Stop the clock, or let it run on.

        :param frozen: True stops it.
        """
        self._settle(self.now())
        self.frozen = frozen

    def _settle(self, instant: float) -> None:
        self._anchor_clock = instant
        self._anchor_real = self.monotonic()


def iso(instant: float, offset: str = "+00:00") -> str:
    """Write an instant the way the control interface shows it.

    :param instant: unix seconds.
    :param offset: ``+00:00`` or ``+08:00``.
    :return: ISO 8601 with whole seconds and that offset.
    """
    shift = 28_800 if offset == "+08:00" else 0
    return datetime.fromtimestamp(instant + shift, UTC).strftime("%Y-%m-%dT%H:%M:%S") + offset


def _checked_scale(time_scale: float) -> float:
    if not 0 < time_scale < float("inf"):
        raise ClockError("time_scale is a number above 0; to stop the clock, freeze it")
    return float(time_scale)
