"""Wait in a test until something has happened in another process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Wait until a condition is true.

    :param condition: may block, for instance while it calls another process.
    :param seconds: how long to wait before the test fails.
    """
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - there is nothing to await
            await asyncio.sleep(0.02)
