"""Where slot clocks live: this process's memory, or a file that all processes of the user on this host share.

Knows locks, files and what can be wrong with them, and where else to look; knows nothing about pace.
"""

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
"""Environment variable that names another directory for the files, such as one that several users share."""


class MemoryStore:
    """A slot clock for the threads and event loops of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = SlotState()

    def update(self, change: Change[R], clock: Callable[[], float], *, timeout: float = LOCK_TIMEOUT_SECONDS) -> R:
        """See :meth:`SlotStore.update`; nobody holds this lock for long."""
        with self._lock:
            state, result = change(self._state, clock())
            if state is not None:
                self._state = state
            return result


_in_this_process: dict[str, MemoryStore] = {}


def memory_store(name: str) -> MemoryStore:
    """Find the slot clock of an account in this process.

    :param name: the account's fingerprint.
    :return: the same object for the same name.
    """
    return _in_this_process.setdefault(name, MemoryStore())


class FileStore:
    """A slot clock in a small file, locked with ``flock``: the kernel frees the lock of a process that dies.

    When the file cannot be used, the clock of this process's memory takes over and a warning says so. A lock that
    somebody keeps is an error instead: whoever keeps it is alive and uses the account, so a second clock would bring
    the account a 429, and the lock may be free the next time.

    :param name: the account's fingerprint; the file's name.
    :param directory: where the file is; None: the user's own directory for temporary files.
    """

    def __init__(self, name: str, directory: Path | None = None) -> None:
        self._name = name
        self._directory = directory
        self._warned = False

    def update(self, change: Change[R], clock: Callable[[], float], *, timeout: float = LOCK_TIMEOUT_SECONDS) -> R:
        """See :meth:`SlotStore.update`."""
        try:
            with self._locked(timeout) as descriptor:
                state, result = change(decode(os.pread(descriptor, RECORD_BYTES, 0)), clock())
                if state is not None:
                    os.pwrite(descriptor, encode(state), 0)
                return result
        except OSError as error:
            if not self._warned:
                self._warned = True
                log.warning(
                    "The pace of account %s is not shared with other processes: %s. "
                    "Make that directory usable, or name another one in %s",
                    self._name,
                    error,
                    DIRECTORY_VARIABLE,
                )
        return memory_store(self._name).update(change, clock)

    @contextlib.contextmanager
    def _locked(self, timeout: float) -> Iterator[int]:
        if self._directory:
            self._directory.mkdir(parents=True, exist_ok=True)
        path = (self._directory or _own_directory()) / f"{self._name}.json"
        deadline = time.monotonic() + timeout
        while True:
            descriptor = _open(path)
            try:
                _lock(descriptor, path, deadline)
                # Whoever cleans up temporary files may have removed it while we waited for the lock: then others
                # already use a new one.
                if os.fstat(descriptor).st_nlink:
                    yield descriptor
                    return
            finally:
                # Closing is not enough: a process that was forked meanwhile has a copy, and would keep the lock.
                with contextlib.suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                os.close(descriptor)


def _open(path: Path) -> int:
    """Open or make the file of a clock; in a directory that a group may write to, the whole group may use it."""
    flags = os.O_RDWR | os.O_NOFOLLOW
    while True:
        # Not O_CREAT for a file that exists: Linux refuses that for others' files in sticky directories.
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags)
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        directory = path.parent.stat()
        if directory.st_mode & stat.S_IWGRP:
            with contextlib.suppress(PermissionError):  # not a member of the group: the others will see a warning
                os.fchown(descriptor, -1, directory.st_gid)
            os.fchmod(descriptor, 0o660)  # whatever the umask
        return descriptor


def _lock(descriptor: int, path: Path, deadline: float) -> None:
    """Lock a file, by trying again and again: ``flock`` itself knows no time-out.

    :raises RateLimitLockedError: somebody else held the lock until the deadline.
    """
    pause = 0.0005
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise RateLimitLockedError(
                f"{_holder(descriptor)} keeps {path} locked. Nothing is sent while it does, because it may be using "
                "the account too. End that process if it hangs"
            )
        time.sleep(min(remaining, pause * random.uniform(0.5, 1)))  # noqa: S311  # spreads, protects nothing
        pause = min(2 * pause, 0.01)


def _holder(descriptor: int) -> str:
    """Who holds the lock, where the system shows it (Linux, in the same PID namespace)."""
    inode = os.fstat(descriptor).st_ino
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()  # 1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF
            if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}") and fields[4].isdigit():
                return f"process {fields[4]}"
    return "another process"


def open_store(pacing: str, name: str, *, interval: float) -> SlotStore:
    """Open the slot clock of an account.

    :param pacing: ``"file"``, ``"memory"`` or the URL of a Redis server.
    :param name: the account's fingerprint.
    :param interval: seconds between two arrivals.
    :raises InvalidSettingsError: when the package that speaks to Redis is not there.
    """
    if pacing == "memory":
        return memory_store(name)
    directory = Path(os.environ[DIRECTORY_VARIABLE]) if os.environ.get(DIRECTORY_VARIABLE) else None
    file = FileStore(name, directory)
    if pacing == "file":
        return file
    from airflow_provider_trackingmore.client.rate_limit.redis import RedisStore

    outage = FileStore(f"{name}-outage", directory)
    return RedisStore(pacing, name, file=file, outage=outage, handover_seconds=interval + COLD_GRACE_SECONDS)


def _own_directory() -> Path:
    """Make or find the directory that only this user can write to.

    :raises OSError: if it cannot be made, or what is there belongs to somebody else.
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
