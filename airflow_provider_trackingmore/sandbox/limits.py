"""The documented limits, and the rate limit of one account."""

from __future__ import annotations

from dataclasses import dataclass

REQUESTS_PER_SECOND = 1
"""Reference 4, v2 default, for one account."""
REALTIME_PER_SECOND = 3
"""Reference 1.9."""
COOL_DOWN_SECONDS = 120.0
"""Reference 2.1, code 429."""
FILTER_MAX = 40
"""Maximum number of values in ``numbers`` and ``orders``, reference 1.6."""
PAGE_DEFAULT = 100
PAGE_MAX = 2000
"""Reference 1.6."""
REALTIME_PAUSE_SECONDS = 7200.0
"""The same shipment at most once in two hours, reference 1.9."""
FIFTHS_DETECT = 1
FIFTHS_REMOTE = 1
FIFTHS_TRACKING = 5
FIFTHS_WAYBILL = 100
"""Quota is counted in fifths: 5 calls of detect or remote cost one, reference 1.14, 1.16, 1.18 and 9.6."""
CACHED_JOURNEYS = 20_000
"""How many shipments of an account keep their journey as it was last serialized, 2 kB each."""
MAX_AGE_DAYS = 36_500
"""The maximum age of a seeded shipment: a hundred years."""
MAX_EVENTS = 200
"""The maximum number of events that seeding can ask for."""
MAX_PARCELS = 1_000_000
"""The maximum number of shipments that are seeded at once."""
DEFAULT_QUOTA = 100_000
MAX_QUOTA = 10**12
"""The quota of an account, in trackings."""

_EPSILON = 1e-6


@dataclass(slots=True)
class RateLimit:
    """At most one request per ``interval``; a request above that starts a cool-down of two minutes.

    :param interval: seconds between requests.
    """

    interval: float = 1.0 / REQUESTS_PER_SECOND
    _next_free: float = float("-inf")
    _last_arrival: float = float("-inf")
    cool_down_until: float = float("-inf")

    def admit(self, earliest: float, latest: float, tolerance: float = 0.0, refresh: str = "rate") -> bool:
        """Decide whether a request is admitted.

        If the server was busy when the request arrived, it only knows that the request arrived between two times. It
        decides in favour of the caller; otherwise two requests a second apart could seem to have arrived together.

        :param earliest: the earliest possible time of arrival, in clock seconds.
        :param latest: the latest possible time of arrival.
        :param tolerance: seconds by which a request may be early.
        :param refresh: which requests during a cool-down restart it: ``rate``, ``any`` or ``never``.
        :return: whether the request is admitted.
        """
        above = latest + tolerance + _EPSILON < self._next_free
        if latest < self.cool_down_until:
            if refresh == "any" or (refresh == "rate" and latest - self._last_arrival + tolerance < self.interval):
                self.cool_down_until = latest + COOL_DOWN_SECONDS
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
        """Start a cool-down of two minutes.

        :param now: clock seconds.
        """
        self.cool_down_until = now + COOL_DOWN_SECONDS
