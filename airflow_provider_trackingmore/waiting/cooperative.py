"""Process many items without blocking the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TypeVar

from airflow_provider_trackingmore.client.executor import AccountExecutor

T = TypeVar("T")

ITEMS_PER_SLICE = 100
ITEMS_ON_THE_LOOP = 500
"""Work on more items than this takes more than a few milliseconds."""


async def cooperatively(items: Iterable[T], slice_size: int = ITEMS_PER_SLICE) -> AsyncIterator[T]:
    """Iterate over many items, and let the event loop run other tasks after each slice.

    :param items: the items.
    :param slice_size: how many items to yield before other tasks run.
    """
    for position, item in enumerate(items, start=1):
        yield item
        if position % slice_size == 0:
            await asyncio.sleep(0)


async def in_slices(items: Sequence[T], slice_size: int) -> AsyncIterator[Sequence[T]]:
    """Cut many items into slices, and let the event loop run other tasks after each slice.

    :param items: the items.
    :param slice_size: how many items a slice has at most.
    """
    for begin in range(0, len(items), slice_size):
        if begin:
            await asyncio.sleep(0)
        yield items[begin : begin + slice_size]


async def run_off_loop(items: int, work: Callable[[], T]) -> T:
    """Run a function that cannot yield to the event loop: in a thread if it has many items to process.

    :param items: how many items the function processes.
    :param work: the function; no other task may use the objects that it changes.
    :return: its result.
    """
    if items <= ITEMS_ON_THE_LOOP:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_executor, work)


_executor = AccountExecutor("large-waits", max_threads=1)
