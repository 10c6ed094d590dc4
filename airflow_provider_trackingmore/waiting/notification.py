"""``Notifiable``: the base of subscriptions, which wakes the task that waits for updates, or ends its wait."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from airflow_provider_trackingmore.api.errors import TrackingMoreError


class Notifiable(ABC):
    """One task waits for updates, and others notify it. In a ``with`` block, it is closed at the end."""

    __slots__ = ("_error", "_waiter")

    def __init__(self) -> None:
        self._error: TrackingMoreError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """End the subscription."""

    def fail(self, error: TrackingMoreError) -> None:
        """End the subscription with an error, which is raised after the pending updates.

        :param error: why there are no more updates.
        """
        self._error = error
        self.notify()

    def notify(self) -> None:
        """Wake the task that waits for updates."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, seconds: float | None) -> bool:
        """Wait for a notification.

        :param seconds: how long to wait; None for no limit.
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
