"""The state of one call across waits and retries: its slot, and how long it may still wait."""

from __future__ import annotations

import logging
from collections.abc import Callable

from airflow_provider_trackingmore.api.errors import RateLimitError, RateLimitLockedError, TrackingMoreError
from airflow_provider_trackingmore.client.rate_limit.clock import LOCK_TIMEOUT_SECONDS, Departure, RateLimiter, SlotBusy
from airflow_provider_trackingmore.client.retry import WaitBudget
from airflow_provider_trackingmore.client.transport import MAX_IDLE_SECONDS

log = logging.getLogger(__name__)

LONG_WAIT_SECONDS = 5.0
"""Longer waits for a slot are logged, so that nobody wonders why nothing happens."""


class SlotMissedError(Exception):
    """A request was too late for its slot and was not sent.

    :param busy: when to ask for another slot.
    """

    def __init__(self, busy: SlotBusy) -> None:
        super().__init__(busy)
        self.busy = busy


class Call:
    """One call.

    :param name: the request's name.
    :param account: the fingerprint of the API key.
    :param limiter: the rate limit for the call.
    :param budget: how long the call may wait.
    """

    def __init__(self, name: str, account: str, limiter: RateLimiter, budget: WaitBudget) -> None:
        self._name = name
        self._account = account
        self._limiter = limiter
        self._departure: Departure | None = None
        self._rounds = 0
        self.budget = budget
        self.missed_slot = False
        self.waited = 0.0
        self.last_error: TrackingMoreError | None = None

    def lock_timeout(self) -> float:
        """How long to wait for the lock of the rate limit: no longer than the call may wait at all."""
        remaining = self.budget.remaining()
        return LOCK_TIMEOUT_SECONDS if remaining is None else min(remaining, LOCK_TIMEOUT_SECONDS)

    def acquire(self, *, warm: bool) -> SlotBusy | None:
        """Acquire a slot if it is free.

        :param warm: whether the request can reuse an open connection.
        :return: how long to wait; None if the call has its slot.
        :raises RateLimitLockedError: another process holds the lock for longer than the call may wait.
        """
        return self._try_acquire(warm=warm, replaces=None)

    def acquire_again_if_late(self, sleep: Callable[[float], None]) -> None:
        """Acquire another slot if too much time has passed since the first, because others may have sent meanwhile.

        Call this when the connection is open, just before the request is sent. The connection stays open while the call
        waits: if connecting takes long, the next attempt would be late again.

        :param sleep: sleeps for seconds.
        :raises SlotMissedError: the next slot is too far away to keep the connection open for it.
        """
        remaining = MAX_IDLE_SECONDS
        while self._departure is not None and self._limiter.is_late(self._departure):
            busy = self._try_acquire(warm=True, replaces=self._departure)
            if busy is None:
                log.info("%s: missed its slot, acquired another one", self._name)
                continue
            seconds = self._limiter.pause(busy, self._rounds)
            self._rounds += 1
            remaining -= seconds
            if remaining < 0 or not self.budget.allows(seconds):
                raise SlotMissedError(busy)
            sleep(seconds)

    def release(self, *, warm: bool) -> None:
        """Release the slot: the response has begun to arrive.

        :param warm: as for :meth:`acquire`.
        """
        if self._departure is not None:
            self._limiter.release(self._departure, warm=warm, timeout=self.lock_timeout())

    def pause(self, busy: SlotBusy) -> float:
        """Return how long to sleep before the next attempt to acquire a slot.

        :param busy: from :meth:`acquire`.
        :return: seconds.
        :raises TrackingMoreError: the last error, if that is longer than the call may wait.
        """
        seconds = self._limiter.pause(busy, self._rounds)
        self._rounds += 1
        if not self.budget.allows(seconds):
            raise self.last_error or RateLimitError(
                f"{self._name}: not sent. The rate limit of this account allows the next request in {seconds:.1f} s, "
                "longer than this one may wait: another program uses the account, or it cools down after a 429",
                retry_after=seconds,
            )
        if seconds > LONG_WAIT_SECONDS:
            log.info("%s: waiting %.0f s for the rate limit of account %s", self._name, seconds, self._account)
        self.waited += seconds
        return seconds

    def reset_waiting(self) -> float:
        """Reset the waiting time for the next attempt.

        :return: how many seconds the call has waited for its slot.
        """
        waited, self.waited, self._rounds = self.waited, 0.0, 0
        return waited

    def _try_acquire(self, *, warm: bool, replaces: Departure | None) -> SlotBusy | None:
        try:
            acquired = self._limiter.try_acquire(
                warm=warm,
                timeout=self.lock_timeout(),
                replaces=replaces,
                has_waited=self._rounds > 0 or replaces is not None,
            )
        except RateLimitLockedError as locked:
            raise locked.replace(message=f"{self._name}: not sent: {locked.message}") from None
        if isinstance(acquired, SlotBusy):
            return acquired
        self._departure = acquired
        return None
