"""A slot clock in Redis, shared by many hosts. During an outage of Redis each host uses the clock in its own file.

The time is read from Redis together with the state, so the clocks of the hosts need not agree. A short script
replaces the state only if it has not changed since it was read. (With ``WATCH``, the redis package reports a lost
connection in the same way as a conflict.)

All processes of a host switch between Redis and the file together, since two clocks would allow two requests at once. A
second file says whether there is an outage, and when to try Redis again. The process that switches first blocks the
account until requests sent by the old clock must have arrived, and for the rest of a cool-down it knows of.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from airflow_provider_trackingmore.client.rate_limit.clock import (
    LOCK_TIMEOUT_SECONDS,
    Change,
    SlotState,
    SlotStore,
    block_for,
)
from airflow_provider_trackingmore.client.rate_limit.codec import decode, encode
from airflow_provider_trackingmore.client.redis_connection import KEY_PREFIX, connect_redis

log = logging.getLogger(__name__)

R = TypeVar("R")

PREFIX = f"{KEY_PREFIX}:pace:"
EXPIRY_SECONDS = 86_400
"""The state of an account that is not used expires after a day. No cool-down lasts longer than an hour."""
RETRY_SECONDS = 5.0
"""During an outage, seconds between two attempts of a host to reach Redis."""
ATTEMPTS = 50
"""How many conflicts with other hosts are tolerated before Redis counts as unavailable."""
REPLACE = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""


class RedisStore:
    """A slot clock in Redis.

    :param url: ``redis://``, ``rediss://`` or ``unix://``. A password in it is never logged.
    :param name: the account's fingerprint, used in the name of the Redis key.
    :param file: the slot clock of this host, for outages.
    :param outage: says whether there is an outage; its ``next_free_at`` is when to try Redis again.
    :param handover_seconds: how long the account is blocked when the clock switches: an interval and the time that a
        request has to arrive.
    :raises InvalidSettingsError: if the ``redis`` package is not installed or rejects the URL.
    """

    def __init__(self, url: str, name: str, *, file: SlotStore, outage: SlotStore, handover_seconds: float) -> None:
        self._redis, self._error = connect_redis(url)
        parts = urlsplit(url)
        self._address = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
        self._key = PREFIX + name
        self._account = name
        self._file = file
        self._outage = outage
        self._handover_seconds = handover_seconds
        self.is_available = True

    def __repr__(self) -> str:
        return f"<RedisStore {self._address} {self._key}>"

    def update(self, change: Change[R], clock: Callable[[], float], *, timeout: float = LOCK_TIMEOUT_SECONDS) -> R:
        """See :meth:`SlotStore.update`. ``timeout`` applies to the locks of this host's files."""
        deadline = time.monotonic() + timeout

        def remaining() -> float:
            return max(0.0, deadline - time.monotonic())

        # This reads the caller's clock before Redis's own, as the protocol demands.
        outage, try_redis = self._outage.update(_should_try_redis, clock, timeout=remaining())
        if try_redis:
            try:
                if outage:
                    self._return_to_redis(clock, remaining())
                result, left = self._replace(change)
            except self._error as error:
                self._begin_outage(error, clock, remaining(), first=not outage)
            else:
                if not self.is_available:
                    self.is_available = True
                    log.info(
                        "Redis at %s is back; all hosts share the rate limit of account %s again",
                        self._address,
                        self._account,
                    )
                if left > self._handover_seconds:  # a cool-down must survive an outage of Redis
                    _block(self._file, left, clock, remaining())
                return result
        elif self.is_available:
            self._warn("reported by another process of this host")
        return self._file.update(change, clock, timeout=remaining())

    def _replace(self, change: Change[R]) -> tuple[R, float]:
        """Change the state in Redis.

        :return: the result, and for how long the account is blocked, in seconds.
        :raises RedisError: if Redis cannot be reached or rejects the change, or if there are too many conflicts.
        """
        for _ in range(ATTEMPTS):
            record, now = self._read()
            found = decode(record)
            state, result = change(found, now)
            if state is None or self._redis.eval(REPLACE, 1, self._key, record, encode(state), EXPIRY_SECONDS):
                return result, (state or found).earliest_at - now
        raise self._error

    def _read(self) -> tuple[bytes, float]:
        """Read the state, and Redis's own time in seconds."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.get(self._key)
        pipe.time()
        record, (seconds, microseconds) = pipe.execute()
        return record or b"", seconds + microseconds / 1e6

    def _begin_outage(self, error: Exception, clock: Callable[[], float], timeout: float, *, first: bool) -> None:
        if first:
            _block(self._file, self._handover_seconds, clock, timeout)
        self._outage.update(lambda _, now: (_outage_from(now), None), clock, timeout=timeout)
        if self.is_available:
            self._warn(type(error).__name__)  # its text may contain parts of the URL

    def _warn(self, reason: str) -> None:
        self.is_available = False
        log.warning(
            "Redis at %s is unavailable (%s). Until it is back, the rate limit of account %s is shared within this "
            "host only, and other hosts may cause a 429",
            self._address,
            reason,
            self._account,
        )

    def _return_to_redis(self, clock: Callable[[], float], timeout: float) -> None:
        """Switch back to Redis.

        :raises RedisError: if it is still unavailable.
        """
        left = self._file.update(lambda state, now: (None, state.next_free_at - now), clock, timeout=timeout)
        seconds = max(self._handover_seconds, left)
        self._replace(lambda state, now: (block_for(state, now, seconds=seconds), None))
        self._outage.update(lambda _, now: (SlotState(), None), clock, timeout=timeout)


def _should_try_redis(state: SlotState, now: float) -> tuple[SlotState | None, tuple[bool, bool]]:
    """Decide whether there is an outage, and whether this caller tries Redis: during an outage only one does."""
    if state == SlotState():
        return None, (False, True)
    if 0 < state.next_free_at - now <= RETRY_SECONDS:
        return None, (True, False)
    return _outage_from(now), (True, True)


def _outage_from(now: float) -> SlotState:
    return SlotState(next_free_at=now + RETRY_SECONDS)


def _block(store: SlotStore, seconds: float, clock: Callable[[], float], timeout: float) -> None:
    store.update(lambda state, now: (block_for(state, now, seconds=seconds), None), clock, timeout=timeout)
