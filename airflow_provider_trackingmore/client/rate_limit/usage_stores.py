"""Stores for the usage of an account: the memory of this process, or a file beside that of the slot clock."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from airflow_provider_trackingmore.api.errors import RateLimitLockedError
from airflow_provider_trackingmore.client.rate_limit.stores import FileStore, configured_directory
from airflow_provider_trackingmore.client.rate_limit.usage import AccountUsage, UsageStore

log = logging.getLogger(__name__)

LOCK_SECONDS = 0.1
"""How long to wait for the lock of the file. A call that cannot be recorded in this time is not counted."""
MAX_BYTES = 16_384


class MemoryUsage:
    """The usage of an account by this process."""

    def __init__(self) -> None:
        self.scope = f"process {os.getpid()} of {socket.gethostname()}"
        self._lock = threading.Lock()
        self._usage = AccountUsage()

    def record_call(self, component: str, now: float) -> None:
        """See :meth:`UsageStore.record_call`."""
        with self._lock:
            self._usage = self._usage.with_call(component, socket.gethostname(), now)

    def record_429(self, now: float) -> None:
        """See :meth:`UsageStore.record_429`."""
        with self._lock:
            self._usage = AccountUsage(self._usage.calls, self._usage.users, now)

    def read(self, now: float) -> AccountUsage:
        """See :meth:`UsageStore.read`."""
        return self._usage.of_last_day(now)


class FileUsage:
    """The usage of an account by all processes of the user on this host, in a file beside that of the slot clock.

    :param name: the account's fingerprint.
    :param directory: the directory of the file; None for the user's own directory for temporary files.
    """

    def __init__(self, name: str, directory: Path | None = None) -> None:
        self._file = FileStore(f"{name}-usage", directory)
        self._host = socket.gethostname()
        place = f"{self._host}\0{directory or os.getuid()}"
        self.scope = f"file {hashlib.sha256(place.encode()).hexdigest()[:8]}"
        self._has_failed = False

    def record_call(self, component: str, now: float) -> None:
        """See :meth:`UsageStore.record_call`."""
        self._update(lambda usage: usage.with_call(component, self._host, now))

    def record_429(self, now: float) -> None:
        """See :meth:`UsageStore.record_429`."""
        self._update(lambda usage: AccountUsage(usage.calls, usage.users, now))

    def read(self, now: float) -> AccountUsage:
        """See :meth:`UsageStore.read`."""
        found = AccountUsage()
        with contextlib.suppress(OSError, RateLimitLockedError), self._file.locked(LOCK_SECONDS) as descriptor:
            found = AccountUsage.from_json(os.pread(descriptor, MAX_BYTES, 0))
        return found.of_last_day(now)

    def _update(self, change: Callable[[AccountUsage], AccountUsage]) -> None:
        try:
            with self._file.locked(LOCK_SECONDS) as descriptor:
                text = change(AccountUsage.from_json(os.pread(descriptor, MAX_BYTES, 0))).to_json().encode()
                os.pwrite(descriptor, text, 0)
                os.ftruncate(descriptor, len(text))
        except (OSError, RateLimitLockedError) as error:
            if not self._has_failed:
                self._has_failed = True
                log.info("A call is not counted: %s", error)


_in_this_process: dict[str, MemoryUsage] = {}


def open_usage(pacing: str, name: str) -> UsageStore:
    """Open the store that belongs to the ``pacing`` setting.

    :param pacing: ``"file"``, ``"memory"`` or the URL of a Redis server.
    :param name: the account's fingerprint.
    :raises InvalidSettingsError: if the ``redis`` package is needed and not installed.
    """
    if pacing == "memory":
        return _in_this_process.setdefault(name, MemoryUsage())
    if pacing == "file":
        return FileUsage(name, configured_directory())
    from airflow_provider_trackingmore.client.rate_limit.redis_usage import RedisUsage

    return RedisUsage(pacing, name)
