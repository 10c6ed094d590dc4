"""How long a request and its answer travel at the least, learnt from one caller's own trips. Pure; knows no clock."""

from __future__ import annotations

import statistics
import threading
from collections import deque

SAMPLES_KEPT = 32
SAMPLES_NEEDED = 12
"""With fewer, chance may show slow trips only."""
DEVIATION_FACTOR = 3.0
"""How many times the distance from the usual trip to the shortest known one the next may be shorter than that."""
RTT_TOLERANCE = 0.02
"""Share of an interval by which trips may become shorter than all of late without bringing two arrivals too close."""


class RoundTripTimes:
    """The latest round trips of one caller over open connections.

    :param interval: seconds between two arrivals.
    """

    def __init__(self, interval: float) -> None:
        self._tolerance = RTT_TOLERANCE * interval
        self._seconds: deque[float] = deque(maxlen=SAMPLES_KEPT)
        self._lock = threading.Lock()
        self._min_rtt = 0.0

    @property
    def min_rtt(self) -> float:
        """Seconds that the next trip certainly takes; 0 while too little is known, or trips differ too much.

        RoundTripTimes that differ by chance differ below the shortest known one too.
        """
        return self._min_rtt

    def add(self, seconds: float) -> None:
        """Learn from a trip.

        :param seconds: from the departure to the beginning of the answer.
        """
        with self._lock:
            self._seconds.append(seconds)
            if len(self._seconds) >= SAMPLES_NEEDED:
                shortest = min(self._seconds)
                usual = statistics.median(self._seconds)
                self._min_rtt = max(0.0, shortest - DEVIATION_FACTOR * (usual - shortest) - self._tolerance)

    def reset(self) -> None:
        """Start again: what was learnt has misled, or may have."""
        with self._lock:
            self._seconds.clear()
            self._min_rtt = 0.0
