"""The causes of stalls are distinguished. The tests use up processor time, not wall time, so load does not matter."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from benchmarks.event_loop import MeasuringSelector, Stalls

BURNT = 0.05
"""Seconds of processor time."""


def burn() -> None:
    end = time.thread_time() + BURNT
    while time.thread_time() < end:
        pass


def hold_the_interpreter() -> None:
    """Work in one piece of C code, which releases the lock for nobody."""
    end = time.thread_time() + BURNT
    while time.thread_time() < end:
        sum(range(10**7))


@pytest.fixture
def garbage() -> Iterator[None]:
    kept = [[number] for number in range(300_000)]
    yield
    assert kept


def stalls(work: Callable[[], object], *, in_thread: bool) -> Stalls:
    selector = MeasuringSelector()

    async def main() -> Stalls:
        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0.01)
        gc.collect()
        await asyncio.sleep(0.01)
        selector.take_stalls()
        if in_thread:
            thread = threading.Thread(target=work)
            thread.start()
            while thread.is_alive():  # noqa: ASYNC110 - a thread cannot be awaited
                await asyncio.sleep(0.001)
        else:
            work()
        await asyncio.sleep(0.01)
        ticking.cancel()
        return selector.take_stalls()

    async def tick() -> None:
        while True:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.001)

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        return runner.run(main())


def test_own_work_is_the_processor_time_of_a_pass() -> None:
    seen = stalls(burn, in_thread=False)
    assert seen.own_work >= BURNT
    assert seen.total >= seen.own_work
    assert seen.other_threads < BURNT / 2


def test_work_of_another_thread_is_not_own_work() -> None:
    seen = stalls(hold_the_interpreter, in_thread=True)
    assert seen.own_work < BURNT / 2
    assert seen.other_threads >= BURNT / 2


@pytest.mark.usefixtures("garbage")
@pytest.mark.parametrize("in_thread", [False, True])
def test_a_garbage_collection_is_neither_own_work_nor_that_of_other_threads(in_thread: bool) -> None:
    """One in a thread reports its end only when that thread has the lock again, and the loop may run before that."""
    seen = stalls(gc.collect, in_thread=in_thread)
    assert seen.collection > 0.005
    assert seen.own_work < seen.collection / 2
    assert seen.other_threads < seen.collection / 2
