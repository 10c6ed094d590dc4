"""The minimum round-trip time of one caller, estimated from its latest requests."""

from __future__ import annotations

import statistics
import threading
from collections import deque

SAMPLES_KEPT = 32
SAMPLES_NEEDED = 12
"""With fewer samples, all of them may be slow by chance."""
DEVIATION_FACTOR = 3.0
"""The next round trip may be shorter than the shortest sample by this factor times the distance to the median."""
RTT_TOLERANCE = 0.02
"""Share of an interval by which round trips may become shorter without two requests arriving too close together."""


class RoundTripTimes:
    """The latest round-trip times of one caller over open connections.

    :param interval: seconds between two arrivals.
    """

    def __init__(self, interval: float) -> None:
        self._tolerance = RTT_TOLERANCE * interval
        self._seconds: deque[float] = deque(maxlen=SAMPLES_KEPT)
        self._lock = threading.Lock()
        self._min_rtt = 0.0

    @property
    def min_rtt(self) -> float:
        """Seconds that the next round trip takes at least; 0 if there are too few samples, or they vary too much."""
        return self._min_rtt

    def add(self, seconds: float) -> None:
        """Add a sample.

        :param seconds: from the departure to the first byte of the response.
        """
        with self._lock:
            self._seconds.append(seconds)
            if len(self._seconds) >= SAMPLES_NEEDED:
                shortest = min(self._seconds)
                median = statistics.median(self._seconds)
                self._min_rtt = max(0.0, shortest - DEVIATION_FACTOR * (median - shortest) - self._tolerance)

    def reset(self) -> None:
        """Discard all samples: the estimate was wrong, or may have been."""
        with self._lock:
            self._seconds.clear()
            self._min_rtt = 0.0
