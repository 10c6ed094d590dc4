"""How long a request and its answer travel at the least, learnt from one caller's own trips. Pure; knows no clock."""

from __future__ import annotations

import statistics
import threading
from collections import deque

TRIPS_KEPT = 32
TRIPS_NEEDED = 12
"""With fewer, chance may show slow trips only."""
CAUTION = 3.0
"""How many times the distance from the usual trip to the shortest known one the next may be shorter than that."""
UNTOUCHED = 0.02
"""Share of an interval by which trips may become shorter than all of late without bringing two arrivals too close."""


class Trips:
    """The latest round trips of one caller over open connections.

    :param interval: seconds between two arrivals.
    """

    def __init__(self, interval: float) -> None:
        self._untouched = UNTOUCHED * interval
        self._seconds: deque[float] = deque(maxlen=TRIPS_KEPT)
        self._lock = threading.Lock()
        self._least = 0.0

    @property
    def least(self) -> float:
        """Seconds that the next trip certainly takes; 0 while too little is known, or trips differ too much.

        Trips that differ by chance differ below the shortest known one too.
        """
        return self._least

    def note(self, seconds: float) -> None:
        """Learn from a trip.

        :param seconds: from the departure to the beginning of the answer.
        """
        with self._lock:
            self._seconds.append(seconds)
            if len(self._seconds) >= TRIPS_NEEDED:
                shortest = min(self._seconds)
                usual = statistics.median(self._seconds)
                self._least = max(0.0, shortest - CAUTION * (usual - shortest) - self._untouched)

    def forget(self) -> None:
        """Begin anew: what was learnt has misled, or may have."""
        with self._lock:
            self._seconds.clear()
            self._least = 0.0
