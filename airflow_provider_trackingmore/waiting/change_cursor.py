"""The cursor for lists of changes: every change before this time on the vendor's clock has been seen."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

OVERLAP_SECONDS = 30.0
"""Lists of changes begin this long before the cursor, since the vendor may record a change late."""
MAX_AHEAD_SECONDS = 60.0
"""A time that is further ahead of our own clock than this is ignored."""
MAX_ENTRIES = 512


class ChangeCursor:
    """A time on the vendor's clock: every earlier change of a checked shipment has been seen.

    The vendor's times are compared only with each other, since its clock may differ from ours. Every time in a response
    is earlier than the response itself. So the newest time in all responses so far is in the past, and a check after
    that shows every change before it.

    Two rules keep a wrong time from moving the cursor into the future, where it would hide changes: the second newest
    time of a response counts, not the newest; and times that are in the future by our own clock do not count at all. If
    the vendor's clock is ahead of ours, the cursor lags by the difference, and the list of changes is longer.
    """

    def __init__(self) -> None:
        self._newest: float | None = None
        self._log: deque[tuple[float, float]] = deque(maxlen=MAX_ENTRIES)
        self.position: float | None = None

    def note(self, updated: Sequence[float], created: Sequence[float], *, at: float, now: float) -> None:
        """Take the times of one response into account.

        :param updated: Unix seconds of the last change of each shipment in it.
        :param created: Unix seconds of the registration of each shipment in it.
        :param at: event loop time in seconds when the response arrived.
        :param now: Unix seconds by our own clock.
        """
        candidates = [time for time in (_second_newest(updated, now), _second_newest(created, now)) if time]
        if candidates and max(candidates) > (self._newest or 0.0):
            self._newest = max(candidates)
            self._log.append((at, self._newest))

    def advance(self, oldest_check: float) -> None:
        """Advance as far as the checks allow.

        :param oldest_check: event loop time in seconds: the oldest of all shipments' last checks.
        """
        index = bisect_right(self._log, oldest_check, key=lambda entry: entry[0])
        if index:
            self.position = max(self.position or 0.0, self._log[index - 1][1])

    @property
    def since(self) -> int | None:
        """Where the next list of changes begins, in Unix seconds of the vendor's clock; None if there is no cursor."""
        return None if self.position is None else int(max(self.position - OVERLAP_SECONDS, 0.0))

    def earliest_now(self, now: float) -> float:
        """Return a time that has passed on the vendor's clock, as close to its present as is known.

        :param now: event loop time in seconds.
        :return: Unix seconds; 0 if nothing is known.
        """
        if not self._log:
            return 0.0
        at, newest = self._log[-1]
        return newest + max(now - at, 0.0)


def _second_newest(times: Sequence[float], now: float) -> float | None:
    plausible = sorted(time for time in times if time <= now + MAX_AHEAD_SECONDS)
    return plausible[-2] if len(plausible) >= 2 else None
