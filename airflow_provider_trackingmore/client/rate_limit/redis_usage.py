"""The usage of an account in Redis: one hash per account, shared by all hosts."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from airflow_provider_trackingmore.client.rate_limit.usage import AccountUsage, AccountUser, quarter_of
from airflow_provider_trackingmore.client.redis_connection import KEY_PREFIX, connect_redis, decode_text

log = logging.getLogger(__name__)

EXPIRY_SECONDS = 90_000
RETRY_SECONDS = 30.0
"""After a failure, calls are not counted for this long: a Redis server that hangs must not delay each of them."""
_CALLS, _USER, _LAST_429 = "calls ", "user ", "last_429_at"


class RedisUsage:
    """The usage of an account by all hosts.

    :param url: the Redis server.
    :param name: the account's fingerprint.
    :raises InvalidSettingsError: if the ``redis`` package is not installed or rejects the URL.
    """

    scope = "redis"

    def __init__(self, url: str, name: str) -> None:
        self._redis, self._error = connect_redis(url)
        self._key = f"{KEY_PREFIX}:usage:{name}"
        self._host = socket.gethostname()
        self._lock = threading.Lock()
        self._retry_at = float("-inf")
        self._quarter = 0

    def record_call(self, component: str, now: float) -> None:
        """See :meth:`UsageStore.record_call`."""
        start = quarter_of(now)
        with self._lock:
            is_new_quarter, self._quarter = start != self._quarter, start
        self._write(f"{_CALLS}{start}", {f"{_USER}{component} {self._host}": round(now)})
        if is_new_quarter:
            self._drop_old(now)

    def record_429(self, now: float) -> None:
        """See :meth:`UsageStore.record_429`."""
        self._write(None, {_LAST_429: round(now)})

    def read(self, now: float) -> AccountUsage:
        """See :meth:`UsageStore.read`."""
        return _parse(self._read()).of_last_day(now)

    def _write(self, counter: str | None, values: Mapping[Any, Any]) -> None:
        if time.monotonic() < self._retry_at:
            return
        try:
            pipe = self._redis.pipeline(transaction=False)
            if counter is not None:
                pipe.hincrby(self._key, counter, 1)
            pipe.hset(self._key, mapping=values)
            pipe.expire(self._key, EXPIRY_SECONDS)
            pipe.execute()
        except self._error as error:
            self._handle_failure(error)

    def _read(self) -> dict[str, str]:
        if time.monotonic() < self._retry_at:
            return {}
        try:
            found = self._redis.hgetall(self._key)
        except self._error as error:
            self._handle_failure(error)
            return {}
        return {decode_text(name): decode_text(value) for name, value in found.items()}

    def _drop_old(self, now: float) -> None:
        """Drop what is older than a day, so that the hash does not grow."""
        fields = self._read()
        usage = _parse(fields).of_last_day(now)
        kept = {f"{_CALLS}{start}" for start in usage.calls} | {_LAST_429}
        kept |= {f"{_USER}{user.component} {user.host}" for user in usage.users}
        if old := fields.keys() - kept:
            try:
                self._redis.hdel(self._key, *old)
            except self._error as error:
                self._handle_failure(error)

    def _handle_failure(self, error: Exception) -> None:
        if self._retry_at == float("-inf"):
            log.info("The calls of an account are not counted, because Redis fails: %s", type(error).__name__)
        self._retry_at = time.monotonic() + RETRY_SECONDS


def _parse(fields: Mapping[str, str]) -> AccountUsage:
    calls: dict[int, int] = {}
    users: list[AccountUser] = []
    last_429_at: float | None = None
    for name, value in fields.items():
        if not value.isascii() or not value.isdigit():
            continue
        if name.startswith(_CALLS) and name.removeprefix(_CALLS).isdigit():
            calls[int(name.removeprefix(_CALLS))] = int(value)
        elif name.startswith(_USER):
            component, _, host = name.removeprefix(_USER).rpartition(" ")
            users.append(AccountUser(component, host, float(value)))
        elif name == _LAST_429:
            last_429_at = float(value)
    return AccountUsage(calls, tuple(users), last_429_at)
