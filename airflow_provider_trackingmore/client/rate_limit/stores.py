"""Stores for slot clocks: the memory of this process, or a file shared by all processes of the user on this host."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import random
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from airflow_provider_trackingmore.api.errors import RateLimitLockedError
from airflow_provider_trackingmore.client.rate_limit.clock import (
    COLD_GRACE_SECONDS,
    LOCK_TIMEOUT_SECONDS,
    Change,
    SlotState,
    SlotStore,
)
from airflow_provider_trackingmore.client.rate_limit.codec import RECORD_BYTES, decode, encode

log = logging.getLogger(__name__)

R = TypeVar("R")

DIRECTORY_VARIABLE = "TRACKINGMORE_PACING_DIR"
"""Environment variable with another directory for the files, such as one that several users share."""


class MemoryStore:
    """A slot clock for the threads and event loops of one process."""

    is_available = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = SlotState()

    def update(self, change: Change[R], clock: Callable[[], float], *, timeout: float = LOCK_TIMEOUT_SECONDS) -> R:
        """See :meth:`SlotStore.update`. The lock is never held for long, so ``timeout`` is not needed."""
        with self._lock:
            state, result = change(self._state, clock())
            if state is not None:
                self._state = state
            return result


_in_this_process: dict[str, MemoryStore] = {}


def memory_store(name: str) -> MemoryStore:
    """Return the store of an account in this process.

    :param name: the account's fingerprint.
    :return: the same object for the same name.
    """
    return _in_this_process.setdefault(name, MemoryStore())


class FileStore:
    """A slot clock in a small file, locked with ``flock``. The kernel releases the lock if a process dies.

    If the file cannot be used, the memory of this process is used instead and a warning is logged. A lock that is not
    released in time is an error instead: its holder is alive and may be using the account, so that a second clock could
    cause a 429.

    :param name: the account's fingerprint; the file's name.
    :param directory: the directory of the file; None for the user's own directory for temporary files.
    """

    is_available = True

    def __init__(self, name: str, directory: Path | None = None) -> None:
        self._name = name
        self._directory = directory
        self._warned = False

    def update(self, change: Change[R], clock: Callable[[], float], *, timeout: float = LOCK_TIMEOUT_SECONDS) -> R:
        """See :meth:`SlotStore.update`."""
        try:
            with self.locked(timeout) as descriptor:
                state, result = change(decode(os.pread(descriptor, RECORD_BYTES, 0)), clock())
                if state is not None:
                    os.pwrite(descriptor, encode(state), 0)
                return result
        except OSError as error:
            if not self._warned:
                self._warned = True
                log.warning(
                    "The rate limit of account %s is not shared with other processes: %s. "
                    "Fix the directory, or set another one in %s",
                    self._name,
                    error,
                    DIRECTORY_VARIABLE,
                )
        return memory_store(self._name).update(change, clock)

    def path(self) -> Path:
        """Return where the file is, or will be.

        :raises OSError: if the user's own directory cannot be created, or belongs to another user.
        """
        return (self._directory or _own_directory()) / f"{self._name}.json"

    @contextlib.contextmanager
    def locked(self, timeout: float) -> Iterator[int]:
        """Open and lock the file.

        :param timeout: how long to wait for the lock, in seconds.
        :return: the file's descriptor, in a ``with`` block.
        :raises OSError: if the file cannot be opened or created.
        :raises RateLimitLockedError: if another process holds the lock for longer.
        """
        if self._directory:
            self._directory.mkdir(parents=True, exist_ok=True)
        path = self.path()
        deadline = time.monotonic() + timeout
        while True:
            descriptor = _open(path)
            try:
                _lock(descriptor, path, deadline)
                # A cleanup of temporary files may have removed it while we waited for the lock: others then use a new
                # file already.
                if os.fstat(descriptor).st_nlink:
                    yield descriptor
                    return
            finally:
                # Closing is not enough: a process that was forked meanwhile has a copy and would keep the lock.
                with contextlib.suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                os.close(descriptor)


def _open(path: Path) -> int:
    """Open or create the file. In a group-writable directory it is readable and writable for the group."""
    flags = os.O_RDWR | os.O_NOFOLLOW
    while True:
        # No O_CREAT for an existing file: Linux rejects it for files of other users in sticky directories.
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags)
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        directory = path.parent.stat()
        if directory.st_mode & stat.S_IWGRP:
            with contextlib.suppress(PermissionError):  # not a member of the group: the others get a warning
                os.fchown(descriptor, -1, directory.st_gid)
            os.fchmod(descriptor, 0o660)  # whatever the umask
        return descriptor


def _lock(descriptor: int, path: Path, deadline: float) -> None:
    """Lock a file. ``flock`` has no timeout, so this retries until the deadline.

    :raises RateLimitLockedError: if another process holds the lock until the deadline.
    """
    pause = 0.0005
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise RateLimitLockedError(
                f"{_holder(descriptor)} holds the lock on {path}. No request is sent meanwhile, since that process may "
                "be using the account. Stop it if it hangs"
            )
        time.sleep(min(remaining, pause * random.uniform(0.5, 1)))  # noqa: S311  # spreads, protects nothing
        pause = min(2 * pause, 0.01)


def _holder(descriptor: int) -> str:
    """Return which process holds the lock, if the system shows it (Linux, same PID namespace)."""
    inode = os.fstat(descriptor).st_ino
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()  # 1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF
            if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}") and fields[4].isdigit():
                return f"process {fields[4]}"
    return "another process"


def open_store(pacing: str, name: str, *, interval: float) -> SlotStore:
    """Open the store that the ``pacing`` setting selects.

    :param pacing: ``"file"``, ``"memory"`` or the URL of a Redis server.
    :param name: the account's fingerprint.
    :param interval: seconds between two arrivals.
    :raises InvalidSettingsError: if the ``redis`` package is needed and not installed.
    """
    if pacing == "memory":
        return memory_store(name)
    directory = configured_directory()
    file = FileStore(name, directory)
    if pacing == "file":
        return file
    from airflow_provider_trackingmore.client.rate_limit.redis import RedisStore

    outage = FileStore(f"{name}-outage", directory)
    return RedisStore(pacing, name, file=file, outage=outage, handover_seconds=interval + COLD_GRACE_SECONDS)


def configured_directory() -> Path | None:
    """Return the directory for the files that the environment names; None for the user's own."""
    return Path(os.environ[DIRECTORY_VARIABLE]) if os.environ.get(DIRECTORY_VARIABLE) else None


def _own_directory() -> Path:
    """Return the directory that only this user can write to; create it if needed.

    :raises OSError: if it cannot be created, or belongs to another user.
    """
    directory = Path(tempfile.gettempdir()) / f"trackingmore-pacing-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{directory} is not a directory of this user")
    if found.st_mode & 0o077:
        directory.chmod(0o700)
    return directory
