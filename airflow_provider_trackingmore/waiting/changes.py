"""From when on to ask for changes. Pure: answers and times in, a moment of the vendor's clock out."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

OVERLAP_SECONDS = 30.0
"""Changes are asked for from so long before the cursor: the vendor may record one late."""
MAX_AHEAD_SECONDS = 60.0
"""A vendor's time that is further ahead of our own clock is not believed."""
KEPT = 512


class ChangeCursor:
    """A moment of the vendor's clock before which no change of a checked shipment is unknown.

    Only the vendor's own times are compared with each other, for its clock need not agree with ours. Every time in an
    answer lies before the moment of that answer. So the newest time in the answers up to a moment lies before that
    moment, and whoever was checked later than that moment has no unknown change before it.

    Two rules keep a wrong time from moving the cursor into the future, where it would hide changes: the second newest
    time of an answer counts, not the newest; and times that are in the future by our own clock do not count at all. If
    it is the vendor's clock that is ahead, the cursor stays behind by as much, and the list of changes is longer.
    """

    def __init__(self) -> None:
        self._newest: float | None = None
        self._log: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self.position: float | None = None

    def note(self, updated: Sequence[float], created: Sequence[float], *, at: float, now: float) -> None:
        """Take in the times of one answer.

        :param updated: unix seconds of the last change of each shipment in it.
        :param created: unix seconds of the registration of each shipment in it.
        :param at: seconds of the event loop when the answer came.
        :param now: unix seconds by our own clock.
        """
        candidates = [moment for moment in (_second_newest(updated, now), _second_newest(created, now)) if moment]
        if candidates and max(candidates) > (self._newest or 0.0):
            self._newest = max(candidates)
            self._log.append((at, self._newest))

    def advance(self, oldest_check: float) -> None:
        """Move on as far as the checks allow.

        :param oldest_check: seconds of the event loop: the oldest of the last checks of all shipments.
        """
        index = bisect_right(self._log, oldest_check, key=lambda entry: entry[0])
        if index:
            self.position = max(self.position or 0.0, self._log[index - 1][1])

    @property
    def since(self) -> int | None:
        """Unix seconds of the vendor's clock to ask for changes from; None: nothing is known yet."""
        return None if self.position is None else int(max(self.position - OVERLAP_SECONDS, 0.0))


def _second_newest(moments: Sequence[float], now: float) -> float | None:
    believed = sorted(moment for moment in moments if moment <= now + MAX_AHEAD_SECONDS)
    return believed[-2] if len(believed) >= 2 else None
