"""The health of an account: how long it is paused after failures, and when a refusal is final."""

from __future__ import annotations

import math
import random
from collections import deque

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.waiting.failures import FIRST_BACK_OFF, SERVICE_FAILURES, back_off


class AccountHealth:
    """Whether the calls of an account succeed. Times are those of the event loop, in seconds.

    :param rng: for the jitter of back-offs.
    """

    def __init__(self, rng: random.Random) -> None:
        self.paused_until = -math.inf
        self.failures = 0
        self.problem: TrackingMoreError | None = None
        """Why the whole account is paused; None after a call that succeeded."""
        self._shortest_pause_until = -math.inf
        self._planned_until = -math.inf  # of the pause, before a last check shortened it
        self._rng = rng
        self._recent_failures: deque[type[TrackingMoreError]] = deque(maxlen=SERVICE_FAILURES)
        self._refusal: TrackingMoreError | None = None

    def record_success(self) -> None:
        """Record that a call has succeeded."""
        self.failures = 0
        self._planned_until = -math.inf
        self.problem = None
        self._recent_failures.clear()
        self._refusal = None

    def record_idle(self) -> None:
        """Record that nothing is due: later failures are unrelated to earlier ones."""
        self._recent_failures.clear()

    def is_service_down(self, error: TrackingMoreError) -> bool:
        """Count a failed call that names shipments, and tell whether the service fails rather than a shipment.

        :param error: how the call failed.
        :return: whether the last three calls have failed in the same way.
        """
        self._recent_failures.append(type(error))
        return len(self._recent_failures) == SERVICE_FAILURES and len(set(self._recent_failures)) == 1

    def cool_down(self, error: TrackingMoreError, now: float) -> None:
        """Pause while the account cools down after a 429.

        :param error: the 429 response.
        :param now: event loop time in seconds.
        """
        self.paused_until = self._shortest_pause_until = now + (error.retry_after or FIRST_BACK_OFF)

    def back_off(self, error: TrackingMoreError, now: float) -> float:
        """Pause all calls, for longer after each failure in a row.

        If a last check has shortened the pause, its failure is not another one in the row.

        :param error: how the call failed.
        :param now: event loop time in seconds.
        :return: the length of the pause in seconds.
        """
        self.problem = error
        self._recent_failures.clear()
        if now >= self._planned_until:
            self.failures += 1
            pause = back_off(self.failures, self._rng, at_least=error.retry_after)
        else:
            pause = max(self._planned_until - now, back_off(1, self._rng, at_least=error.retry_after))
        self.paused_until = self._planned_until = now + pause
        self._shortest_pause_until = now + min(max(FIRST_BACK_OFF, error.retry_after or 0.0), pause)
        return pause

    def shorten_back_off(self) -> None:
        """End a back-off early for a last check, but neither a cool-down nor a pause that the server asked for."""
        self.paused_until = min(self.paused_until, self._shortest_pause_until)

    def is_final_refusal(self, error: TrackingMoreError, now: float) -> bool:
        """Pause after a refusal of the account, and tell whether it confirms an earlier one.

        :param error: the refusal.
        :param now: event loop time in seconds.
        """
        self.problem = error
        self.paused_until = self._shortest_pause_until = now + back_off(2, self._rng)
        if self._refusal is not None and type(self._refusal) is type(error):
            self._refusal = None
            return True
        self._refusal = error
        return False
