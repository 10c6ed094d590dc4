"""Failures of an account as a whole: how long to pause it, and when a refusal is final. Pure but for the jitter."""

from __future__ import annotations

import math
import random

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.waiting.failures import FIRST_BACK_OFF, SERVICE_FAILURES, back_off


class AccountHealth:
    """Whether calls of an account succeed at present. Times are those of the event loop, in seconds.

    :param rng: for the jitter of back-offs.
    """

    def __init__(self, rng: random.Random) -> None:
        self.paused_until = -math.inf
        self.failures = 0
        self._shortest_pause_until = -math.inf
        self._rng = rng
        self._kinds_in_a_row: list[type[TrackingMoreError]] = []
        self._refusal: TrackingMoreError | None = None

    def record_success(self) -> None:
        """A call has succeeded."""
        self.failures = 0
        self._kinds_in_a_row.clear()
        self._refusal = None

    def record_idle(self) -> None:
        """Nothing is due: failures from here on belong to another round of checks."""
        self._kinds_in_a_row.clear()

    def is_service_down(self, error: TrackingMoreError) -> bool:
        """Count a failed call that names shipments, and tell whether the service is to blame rather than a shipment.

        :param error: how the call failed.
        :return: whether the last three calls have failed in the same way.
        """
        self._kinds_in_a_row.append(type(error))
        recent = self._kinds_in_a_row[-SERVICE_FAILURES:]
        return len(recent) == SERVICE_FAILURES and len(set(recent)) == 1

    def cool_down(self, error: TrackingMoreError, now: float) -> None:
        """Pause for as long as the rate limiter keeps the account silent.

        :param error: the answer 429.
        :param now: seconds of the event loop.
        """
        self.paused_until = self._shortest_pause_until = now + (error.retry_after or FIRST_BACK_OFF)

    def back_off(self, error: TrackingMoreError, now: float) -> float:
        """Pause all calls, each time in a row for longer.

        :param error: how the call failed.
        :param now: seconds of the event loop.
        :return: for how many seconds.
        """
        self.failures += 1
        self._kinds_in_a_row.clear()
        pause = back_off(self.failures, self._rng, at_least=error.retry_after)
        self.paused_until = now + pause
        self._shortest_pause_until = now + min(max(FIRST_BACK_OFF, error.retry_after or 0.0), pause)
        return pause

    def shorten_back_off(self) -> None:
        """Let a last check be made: a back-off ends early, but a cool-down and what the server asked for are kept."""
        self.paused_until = min(self.paused_until, self._shortest_pause_until)

    def is_final_refusal(self, error: TrackingMoreError, now: float) -> bool:
        """The vendor refuses the account: pause, and tell whether this confirms an earlier refusal.

        :param error: the refusal.
        :param now: seconds of the event loop.
        """
        self.paused_until = self._shortest_pause_until = now + back_off(2, self._rng)
        if self._refusal is not None and type(self._refusal) is type(error):
            self._refusal = None
            return True
        self._refusal = error
        return False
