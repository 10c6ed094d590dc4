"""Long loops that leave the event loop time for other tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")

ITEMS_PER_SLICE = 100


async def cooperatively(items: Iterable[T], slice_size: int = ITEMS_PER_SLICE) -> AsyncIterator[T]:
    """Iterate over many items, and let the event loop run other tasks after each slice.

    :param items: the items.
    :param slice_size: how many items to yield before other tasks run.
    """
    for position, item in enumerate(items, start=1):
        yield item
        if position % slice_size == 0:
            await asyncio.sleep(0)
