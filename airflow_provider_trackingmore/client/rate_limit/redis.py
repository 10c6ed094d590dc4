"""A slot clock in Redis, which many hosts share; while Redis is lost, the clock in this host's file. Knows no pace.

The time is Redis's own, read with the state: the hosts' clocks may differ as they like. A state is replaced only if it
is still the one that was read, by a script of three lines: with ``WATCH`` the redis package reports a lost connection
as if another host had been faster.

All processes of a host change between Redis and the file at the same moment, or else the host would have two clocks:
whether there is an outage, and when to ask Redis again, stands in a file of its own. Whoever changes first keeps
everybody silent for as long as a request that departed by the old clock may need, and for what it knows of a cool-down.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.client.rate_limit.clock import (
    LOCK_TIMEOUT_SECONDS,
    Change,
    SlotState,
    SlotStore,
    block_for,
)
from airflow_provider_trackingmore.client.rate_limit.codec import decode, encode

log = logging.getLogger(__name__)

R = TypeVar("R")

PREFIX = "airflow-provider-trackingmore:pace:"
EXPIRY_SECONDS = 86_400
"""An account that nobody uses for a day is forgotten; no silence is longer than an hour."""
ASK_AGAIN_SECONDS = 5.0
"""How long a host does without Redis before it asks again."""
REDIS_TIMEOUT_SECONDS = 1.0
"""For a connection, and for each answer. A server that hangs costs one call of a host this long in five seconds."""
ATTEMPTS = 50
"""How often others may be faster before Redis counts as lost."""
REPLACE = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""


class RedisStore:
    """A slot clock in Redis.

    :param url: ``redis://``, ``rediss://`` or ``unix://``; may hold a password, which appears nowhere.
    :param name: the account's fingerprint; the end of the key.
    :param file: the clock of this host, for outages.
    :param outage: notes for this host whether there is an outage: ``next_free_at`` is when to ask Redis again.
    :param handover_seconds: silence when the clock changes: an interval, and the time that a request may travel.
    :raises InvalidSettingsError: the ``redis`` package is not installed, or does not understand the URL.
    """

    def __init__(self, url: str, name: str, *, file: SlotStore, outage: SlotStore, handover_seconds: float) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ModuleNotFoundError:
            raise InvalidSettingsError(
                "pacing by Redis needs a package that is not installed: "
                "pip install 'airflow-provider-trackingmore[redis]'"
            ) from None
        made: redis.Redis | None = None
        with contextlib.suppress(ValueError, TypeError):  # the text of the error may hold parts of the URL
            made = redis.Redis.from_url(
                url,
                socket_timeout=REDIS_TIMEOUT_SECONDS,
                socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
                # Once more over a new connection, for one that was idle may be closed; never after a time-out.
                retry=Retry(NoBackoff(), 1, (redis.ConnectionError,)),
            )
        if made is None:
            raise InvalidSettingsError("pacing is a URL that the redis package does not understand")
        self._redis = made
        self._error = redis.RedisError
        parts = urlsplit(url)
        self._place = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
        self._key = PREFIX + name
        self._account = name
        self._file = file
        self._outage = outage
        self._handover_seconds = handover_seconds
        self._lost = False

    def __repr__(self) -> str:
        return f"<RedisStore {self._place} {self._key}>"

    def update(self, change: Change[R], clock: Callable[[], float], *, timeout: float = LOCK_TIMEOUT_SECONDS) -> R:
        """See :meth:`SlotStore.update`; ``timeout`` is for the locks of this host's files."""
        deadline = time.monotonic() + timeout

        def remaining() -> float:
            return max(0.0, deadline - time.monotonic())

        # This reads the caller's clock before Redis's own, as the protocol demands.
        outage, ask = self._outage.update(_ask_redis, clock, timeout=remaining())
        if ask:
            try:
                if outage:
                    self._back(clock, remaining())
                result, left = self._replace(change)
            except self._error as error:
                self._begin_outage(error, clock, remaining(), first=not outage)
            else:
                if self._lost:
                    self._lost = False
                    log.info(
                        "Redis at %s is back: all hosts share the pace of account %s again", self._place, self._account
                    )
                if left > self._handover_seconds:  # a cool-down outlives the server
                    _hold(self._file, left, clock, remaining())
                return result
        elif not self._lost:
            self._warn("another process of this host cannot reach it")
        return self._file.update(change, clock, timeout=remaining())

    def _replace(self, change: Change[R]) -> tuple[R, float]:
        """Change the state in Redis.

        :return: the result, and for how long the clock is silent.
        :raises RedisError: Redis cannot be reached, does not take the change, or others are faster all the time.
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
            _hold(self._file, self._handover_seconds, clock, timeout)
        self._outage.update(lambda _, now: (_outage_from(now), None), clock, timeout=timeout)
        if not self._lost:
            self._warn(type(error).__name__)  # the text may hold parts of the URL

    def _warn(self, reason: str) -> None:
        self._lost = True
        log.warning(
            "Redis at %s is lost (%s): until it is back, the pace of account %s is shared by the processes of this "
            "host only. Other hosts that use the account may bring it a 429",
            self._place,
            reason,
            self._account,
        )

    def _back(self, clock: Callable[[], float], timeout: float) -> None:
        """Go back to Redis.

        :raises RedisError: it is still lost.
        """
        left = self._file.update(lambda state, now: (None, state.next_free_at - now), clock, timeout=timeout)
        seconds = max(self._handover_seconds, left)
        self._replace(lambda state, now: (block_for(state, now, seconds=seconds), None))
        self._outage.update(lambda _, now: (SlotState(), None), clock, timeout=timeout)


def _ask_redis(state: SlotState, now: float) -> tuple[SlotState | None, tuple[bool, bool]]:
    """Decide whether there is an outage, and whether this caller asks Redis: in an outage only one does."""
    if state == SlotState():
        return None, (False, True)
    if 0 < state.next_free_at - now <= ASK_AGAIN_SECONDS:
        return None, (True, False)
    return _outage_from(now), (True, True)


def _outage_from(now: float) -> SlotState:
    return SlotState(next_free_at=now + ASK_AGAIN_SECONDS)


def _hold(store: SlotStore, seconds: float, clock: Callable[[], float], timeout: float) -> None:
    store.update(lambda state, now: (block_for(state, now, seconds=seconds), None), clock, timeout=timeout)
