"""An asyncio event loop on virtual time, which jumps to the next timer whenever nothing is ready to run.

There are no sockets, no threads and no real sleeping, so a run is a pure function of its seed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

BEGINNING = 1_000.0
"""The loop's time when it starts."""
EPOCH = 1_780_000_000.0
"""The Unix time at which the loop's time is 0."""
STEPS_IN_ONE_MOMENT = 200_000
"""If the loop runs this many steps while no time passes, tasks keep each other busy."""


class BlockedError(AssertionError):
    """Every task is blocked, and no timer is set."""


class BusyLoopError(AssertionError):
    """Tasks keep each other busy while time stands still."""


class _VirtualSelector:
    """Replaces the selector: instead of waiting for sockets, it jumps to the next timer."""

    def __init__(self) -> None:
        self.now = BEGINNING
        self._steps = 0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise BlockedError(f"at {self.now:.3f} every task is blocked, and no timer is set")
        if timeout > 0:
            self.now += timeout
            self._steps = 0
        self._steps += 1
        if self._steps > STEPS_IN_ONE_MOMENT:
            raise BusyLoopError(f"{STEPS_IN_ONE_MOMENT} steps at {self.now:.3f}: time stands still")
        return []

    def close(self) -> None:
        """There is nothing to close."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop on virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _VirtualSelector()
        self.complaints: list[str] = []
        self.set_exception_handler(self._note)

    def time(self) -> float:
        return self._selector.now

    def unix_time(self) -> float:
        """Return the Unix time on a correct clock."""
        return EPOCH + self._selector.now

    def run_in_executor(self, *_: Any) -> Any:
        raise AssertionError("a thread would make the simulation nondeterministic")

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no sockets."""

    def _write_to_self(self) -> None:
        """There is no other thread that could wake this loop."""

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.complaints.append(f"{context.get('message')}: {type(error).__name__}: {error}")


def run(main: Coroutine[Any, Any, T]) -> tuple[T, list[str]]:
    """Run a coroutine to its end on a new loop.

    :param main: the coroutine.
    :return: its result, and what went wrong besides: errors of tasks, and tasks that are left.
    """
    loop = VirtualLoop()
    try:
        result = loop.run_until_complete(main)
        loop.run_until_complete(asyncio.sleep(0))
        left = sorted(task.get_name() for task in asyncio.all_tasks(loop) if not task.done())
        return result, loop.complaints + [f"the task {name} is left" for name in left]
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
