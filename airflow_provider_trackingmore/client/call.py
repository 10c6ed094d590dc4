"""One call on its way through slots and retries: which slot it has, and how long it may still wait. Sends nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable

from airflow_provider_trackingmore.api.errors import RateLimitError, RateLimitLockedError, TrackingMoreError
from airflow_provider_trackingmore.client.rate_limit.clock import LOCK_TIMEOUT_SECONDS, Departure, RateLimiter, SlotBusy
from airflow_provider_trackingmore.client.retry import Budget
from airflow_provider_trackingmore.client.transport import MAX_IDLE_SECONDS

log = logging.getLogger(__name__)

LONG_WAIT_SECONDS = 5.0
"""Longer waits for a slot are logged: somebody may wonder why nothing happens."""


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
    :param limiter: the slot clock that the call obeys.
    :param budget: how long the call may wait.
    """

    def __init__(self, name: str, account: str, limiter: RateLimiter, budget: Budget) -> None:
        self._name = name
        self._account = account
        self._limiter = limiter
        self._departure: Departure | None = None
        self._rounds = 0
        self.budget = budget
        self.waited = 0.0
        self.last_error: TrackingMoreError | None = None

    def lock_timeout(self) -> float:
        """How long to wait for the lock of a slot clock: no longer than the call may wait at all."""
        remaining = self.budget.remaining()
        return LOCK_TIMEOUT_SECONDS if remaining is None else min(remaining, LOCK_TIMEOUT_SECONDS)

    def acquire(self, *, warm: bool) -> SlotBusy | None:
        """Acquire a slot if it is free.

        :param warm: whether the request goes over a connection that is already open.
        :return: how long to wait; None when the call has its slot.
        :raises RateLimitLockedError: somebody else holds the lock for longer than the call may wait.
        """
        return self._try_acquire(warm=warm, replaces=None)

    def acquire_again_if_late(self, sleep: Callable[[float], None]) -> None:
        """Acquire another slot if too much time has passed since the first, because others may have sent meanwhile.

        To be called when the connection is open, just before the request is sent. The connection stays open while the
        call waits: where connecting takes long, the next attempt would be late again.

        :param sleep: waits.
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
        """Note that the answer has begun to come in.

        :param warm: as for :meth:`acquire`.
        """
        if self._departure is not None:
            self._limiter.release(self._departure, warm=warm, timeout=self.lock_timeout())

    def pause(self, busy: SlotBusy) -> float:
        """How long to sleep before asking for the slot again.

        :param busy: from :meth:`acquire`.
        :return: seconds.
        :raises TrackingMoreError: the last error, if that would be longer than the call may wait.
        """
        seconds = self._limiter.pause(busy, self._rounds)
        self._rounds += 1
        if not self.budget.allows(seconds):
            raise self.last_error or RateLimitError(
                f"{self._name}: not sent, for the next free slot of this account is {seconds:.1f} s away, longer than "
                "the call may wait: another program uses the account, or it is silent after a 429",
                retry_after=seconds,
            )
        if seconds > LONG_WAIT_SECONDS:
            log.info("%s: waiting %.0f s until account %s may send again", self._name, seconds, self._account)
        self.waited += seconds
        return seconds

    def reset_waiting(self) -> float:
        """Begin to count anew, for the next attempt.

        :return: how long the call has waited for its slot, in seconds.
        """
        waited, self.waited, self._rounds = self.waited, 0.0, 0
        return waited

    def _try_acquire(self, *, warm: bool, replaces: Departure | None) -> SlotBusy | None:
        try:
            acquired = self._limiter.try_acquire(warm=warm, timeout=self.lock_timeout(), replaces=replaces)
        except RateLimitLockedError as locked:
            locked.args = (f"{self._name}: not sent: {locked.message}",)
            raise
        if isinstance(acquired, SlotBusy):
            return acquired
        self._departure = acquired
        return None
