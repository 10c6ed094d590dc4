"""Listen for hints in the triggerer, so that shipments that webhooks have named are checked early.

If the rate limit is kept in Redis, the API server writes hints to a Redis stream, which wakes waits and watchers on
every host. If it is kept in a file, the API server writes them to a second file beside it, which wakes watchers on the
same host; waits are woken without the triggerer. Nothing is lost if neither can be read, because polling continues.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.hint_file import HintFile
from airflow_provider_trackingmore.client.hint_stream import HintReader, ShipmentHint
from airflow_provider_trackingmore.client.settings import PACING_CHOICES
from airflow_provider_trackingmore.waiting.poller import Poller
from airflow_provider_trackingmore.waiting.pollers import Pollers

log = logging.getLogger(__name__)

FILE_SECONDS = 1.0
"""The time between two checks of the file."""
UNUSED_SECONDS = 60.0
"""Listening ends this long after the last wait or watcher of the account."""
FIRST_RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 30.0

_listeners: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], HintListener]] = WeakKeyDictionary()


def listen_for_hints(pollers: Pollers, client: TrackingMoreClient) -> None:
    """Listen for hints about an account while it has waits or watchers. This may be called repeatedly.

    :param pollers: the pollers of the running event loop.
    :param client: a client of the account.
    """
    listeners = _listeners.setdefault(asyncio.get_running_loop(), {})
    account, pacing = client.account, client.settings.pacing
    if (account, pacing) not in listeners:
        listeners[account, pacing] = HintListener(pollers, account, pacing)
    listeners[account, pacing].start()


class HintListener:
    """Listens for hints about one account.

    :param pollers: the pollers to wake.
    :param account: the account's fingerprint.
    :param pacing: where its rate limit is kept.
    """

    def __init__(self, pollers: Pollers, account: str, pacing: str) -> None:
        self._pollers = pollers
        self._account = account
        self._pacing = pacing
        self._pause = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to listen. This may be called repeatedly."""
        if (self._task is None or self._task.done()) and self._pacing != "memory":
            listen = self._watch_file() if self._pacing in PACING_CHOICES else self._read_stream()
            self._task = asyncio.get_running_loop().create_task(listen, name="trackingmore-hints")

    def _used_pollers(self) -> Sequence[Poller]:
        return [poller for poller in self._pollers.all if poller.sender.account == self._account]

    async def _read_stream(self) -> None:
        loop_time = asyncio.get_running_loop().time
        reader = HintReader(self._pacing, self._account)
        used_at = loop_time()
        try:
            while loop_time() - used_at < UNUSED_SECONDS:
                hints = await self._next_hints(reader)
                pollers = self._used_pollers()
                if pollers:
                    used_at = loop_time()
                for poller in pollers if hints else ():
                    poller.check_now([hint.key for hint in hints], per_minute=hints[-1].per_minute)
        finally:
            await reader.close()

    async def _next_hints(self, reader: HintReader) -> Sequence[ShipmentHint]:
        """Read the stream. While Redis is unavailable, pause instead, for longer each time."""
        try:
            hints = await reader.read()
        except Exception as error:  # usually of Redis; in any case, polling continues
            log.log(
                logging.DEBUG if self._pause else logging.WARNING,
                "Webhooks cannot wake the waits of account %s, which keep polling: Redis is unavailable (%s)",
                self._account,
                type(error).__name__,
            )
            self._pause = min(max(2 * self._pause, FIRST_RETRY_SECONDS), MAX_RETRY_SECONDS)
            await asyncio.sleep(self._pause)
            return []
        if self._pause:
            log.info("Redis is back: webhooks can wake the waits of account %s again", self._account)
            self._pause = 0.0
        return hints

    async def _watch_file(self) -> None:
        loop_time = asyncio.get_running_loop().time
        file = HintFile(self._account)
        used_at = loop_time()
        while loop_time() - used_at < UNUSED_SECONDS:
            await asyncio.sleep(FILE_SECONDS)
            watched = [poller for poller in self._used_pollers() if poller.watchers]
            if watched:
                used_at = loop_time()
            if keys := file.read_new():
                for poller in watched:
                    poller.check_lists_now(keys)
