"""Hints in a file beside that of the slot clock: the API server writes which shipments webhooks name for watchers."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Sequence

from airflow_provider_trackingmore.api.errors import RateLimitLockedError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.rate_limit.stores import FileStore, configured_directory

LOCK_SECONDS = 0.1
KEPT_HINTS = 200
MAX_BYTES = 100_000


class HintFile:
    """The hints of one account, shared by the processes of one user on one host. Its methods never raise.

    :param account: the account's fingerprint.
    """

    def __init__(self, account: str) -> None:
        self._file = FileStore(f"{account}-hints", configured_directory())
        self._changed_at = self._modified_at()
        self._read_until = time.time_ns()

    def add(self, keys: Iterable[ShipmentKey]) -> None:
        """Add hints. Only the newest are kept.

        :param keys: the shipments.
        """
        with contextlib.suppress(OSError, RateLimitLockedError), self._file.locked(LOCK_SECONDS) as descriptor:
            hints = _parse(os.pread(descriptor, MAX_BYTES, 0)) or []
            hints += [(time.time_ns(), key) for key in keys]
            text = json.dumps([[at, *key] for at, key in hints[-KEPT_HINTS:]]).encode()
            os.pwrite(descriptor, text, 0)
            os.ftruncate(descriptor, len(text))

    def read_new(self) -> Sequence[ShipmentKey]:
        """Return the hints since the last call, or since this object was created. Waits for no lock."""
        changed_at = self._modified_at()
        if changed_at is None or changed_at == self._changed_at:
            return []
        with contextlib.suppress(OSError):
            hints = _parse(self._file.path().read_bytes()[:MAX_BYTES])
            if hints is not None:  # otherwise it is being written
                new = [key for at, key in hints if at > self._read_until]
                self._changed_at = changed_at
                self._read_until = max([self._read_until, *(at for at, _ in hints)])
                return new
        return []

    def _modified_at(self) -> int | None:
        try:
            return self._file.path().stat().st_mtime_ns
        except OSError:
            return None


def _parse(data: bytes) -> list[tuple[int, ShipmentKey]] | None:
    """Parse the file; None if it is empty or damaged."""
    try:
        return [(int(at), ShipmentKey(str(carrier), str(number))) for at, carrier, number in json.loads(data)]
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
