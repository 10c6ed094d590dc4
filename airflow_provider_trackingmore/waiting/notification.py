"""``Notifiable``: wakes the task that waits for something, or ends its wait with an error."""

from __future__ import annotations

import asyncio

from airflow_provider_trackingmore.api.errors import TrackingMoreError


class Notifiable:
    """One task waits for it, and others notify it."""

    __slots__ = ("_error", "_waiter")

    def __init__(self) -> None:
        self._error: TrackingMoreError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def fail(self, error: TrackingMoreError) -> None:
        """End the subscription with an error, after the pending updates.

        :param error: why no more updates can follow.
        """
        self._error = error
        self.notify()

    def notify(self) -> None:
        """Wake the task that waits for updates."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, seconds: float | None) -> bool:
        """Wait for a notification.

        :param seconds: how long to wait at most; None to wait for as long as it takes.
        :return: False on a timeout.
        """
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._waiter
        except TimeoutError:
            return False
        finally:
            self._waiter = None
        return True
