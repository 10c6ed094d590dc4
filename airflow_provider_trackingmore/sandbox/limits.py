"""The documented limits and the rate limit of one account. Gets the time passed in; knows no request."""

from __future__ import annotations

from dataclasses import dataclass

REQUESTS_PER_SECOND = 1
"""Reference 4, v2 default, for one account."""
REALTIME_PER_SECOND = 3
"""Reference 1.9."""
COOL_DOWN_SECONDS = 120.0
"""Reference 2.1, code 429."""
FILTER_MAX = 40
"""Most values in ``numbers`` and ``orders``, reference 1.6."""
PAGE_DEFAULT = 100
PAGE_MAX = 2000
"""Reference 1.6."""
REALTIME_PAUSE_SECONDS = 7200.0
"""The same shipment once in two hours, reference 1.9."""
FIFTHS_DETECT = 1
FIFTHS_REMOTE = 1
FIFTHS_TRACKING = 5
FIFTHS_WAYBILL = 100
"""Quota is counted in fifths: 5 calls of detect or remote cost one, reference 1.14, 1.16, 1.18 and 9.6."""

_EPSILON = 1e-6


@dataclass(slots=True)
class RateLimit:
    """At most one request in ``interval`` seconds; a request above it silences the account for two minutes.

    :param interval: seconds between requests.
    """

    interval: float = 1.0 / REQUESTS_PER_SECOND
    _next_free: float = float("-inf")
    _last_arrival: float = float("-inf")
    cool_until: float = float("-inf")

    def admit(self, earliest: float, latest: float, tolerance: float = 0.0, refresh: str = "rate") -> bool:
        """Decide on one arrival.

        The server may have been busy when the request came: then it only knows that it came between two instants, and
        reads this in the caller's favour: else two requests a second apart could look as if they came together.

        :param earliest: the earliest instant at which the request can have come, in clock seconds.
        :param latest: the latest.
        :param tolerance: seconds by which a request may come early.
        :param refresh: which requests in a cool-down begin it anew: ``rate``, ``any`` or ``never``.
        :return: whether it may pass.
        """
        above = latest + tolerance + _EPSILON < self._next_free
        if latest < self.cool_until:
            if refresh == "any" or (refresh == "rate" and latest - self._last_arrival + tolerance < self.interval):
                self.cool_until = latest + COOL_DOWN_SECONDS
            self._last_arrival = latest
            return False
        if above:
            self.start_cool_down(latest)
            self._last_arrival = latest
            return False
        self._next_free = max(earliest, self._next_free) + self.interval
        self._last_arrival = latest
        return True

    def start_cool_down(self, now: float) -> None:
        """Answer nothing for two minutes.

        :param now: clock seconds.
        """
        self.cool_until = now + COOL_DOWN_SECONDS
