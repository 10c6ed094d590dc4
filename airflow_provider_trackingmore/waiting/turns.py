"""When those who wait with one interval are looked at: regularly, and soon after somebody joins. Knows no calls.

Moments are seconds of one clock, whichever the caller has.
"""

from __future__ import annotations

import math

from airflow_provider_trackingmore.waiting.members import Member

GATHER_SECONDS = 2.0
"""After a restart a thousand triggers start within seconds: the first look waits until none has joined for so long."""
LONGEST_GATHER_SECONDS = 60.0
"""The first look waits no longer than this, and no longer than an interval, however many still join."""


class Turn:
    """All members with one interval: they are served together.

    ``tick`` is the next regular round. What else is asked for concerns who joined since the last one began: ``asked``
    is the earliest look they want, ``gathered`` when those are served who want one at once, since ``gathering``.
    """

    def __init__(self) -> None:
        self.tick = self.asked = self.gathering = self.gathered = math.inf
        self.members: dict[Member, None] = {}
        self.reconcile_seconds = math.inf

    @property
    def due(self) -> float:
        """The moment of the next round."""
        return min(self.tick, self.asked, self.gathered)

    def join(self, now: float, look_in: float, interval: float) -> None:
        """Somebody joins: who wants a look at once waits until nobody has joined for a moment.

        :param now: the present moment.
        :param look_in: seconds until the look that is wanted.
        :param interval: seconds between looks.
        """
        if look_in > GATHER_SECONDS:
            self.asked = min(self.asked, now + look_in)
            return
        self.gathering = min(self.gathering, now)
        self.gathered = min(now + GATHER_SECONDS, self.gathering + min(interval, LONGEST_GATHER_SECONDS))

    def begin(self) -> None:
        """A round begins: whoever joins from now on needs another one."""
        self.tick = self.due
        self.asked = self.gathering = self.gathered = math.inf
