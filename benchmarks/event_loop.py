"""An event loop that measures what delays its callbacks, by cause, to separate out the load of the machine.

The loop runs in passes: it waits in its selector for events and timers, then runs every callback that is ready. What
becomes ready then waits for the next pass. So the selector sees where each pass begins and ends, and reads there
how much processor time the loop's thread has used, and for how long Linux let that thread wait for a processor.
"""

from __future__ import annotations

import gc
import math
import os
import selectors
import threading
import time
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Stalls:
    """The longest stall by each cause, in seconds of the machine.

    :param total: from the time at which a pass should have begun to its end, whatever the cause.
    :param own_work: processor time of the loop's thread in one pass, without garbage collection.
    :param collection: processor time of one garbage collection in any thread; all others stand still meanwhile.
    :param other_threads: processor time that other threads used while the loop's thread could not run in one pass, or
        could not begin it, since they held the interpreter lock; without garbage collection.
    :param processor: time in one pass, or before it, in which the loop's thread waited for a processor.
    """

    total: float = 0.0
    own_work: float = 0.0
    collection: float = 0.0
    other_threads: float = 0.0
    processor: float = 0.0

    def longest(self, other: Stalls) -> Stalls:
        """Return the longer stall by each cause."""
        return Stalls(*(max(getattr(self, cause.name), getattr(other, cause.name)) for cause in fields(self)))


@dataclass(frozen=True)
class _Reading:
    """Seconds, of the loop's thread where nothing else is said.

    :param at: reading of the monotonic clock.
    :param used: processor time.
    :param used_by_process: processor time of all threads.
    :param waited: time for which the thread waited for a processor.
    :param collected: processor time of garbage collections.
    :param collected_by_process: processor time of garbage collections in all threads.
    """

    at: float
    used: float
    used_by_process: float
    waited: float
    collected: float
    collected_by_process: float


class MeasuringSelector(selectors.DefaultSelector):
    """A selector that measures the passes of its event loop. Create it in the thread that runs the loop."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()
        self._scheduling = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        self._stalls = Stalls()
        self._collection: tuple[int, float] | None = None  # the clock of its thread, and what that showed at the start
        self._collected = self._collected_by_process = 0.0
        self._pass: tuple[float, _Reading, _Reading] | None = None
        gc.callbacks.append(self._note_collection)

    def close(self) -> None:
        """Close the selector and stop measuring."""
        gc.callbacks.remove(self._note_collection)
        os.close(self._scheduling)
        super().close()

    def take_stalls(self) -> Stalls:
        """Return the longest stalls since the last call."""
        stalls, self._stalls = self._stalls, Stalls()
        return stalls

    def select(self, timeout: float | None = None) -> Any:
        """End a pass, wait for what is next, and begin the next pass."""
        end = self._read()
        if self._pass is not None:
            self._measure(*self._pass, end)
        events = super().select(timeout)
        begin = self._read()
        due = begin.at
        if timeout is not None and not events:  # the selector rounds up to whole milliseconds
            due = min(due, end.at + math.ceil(max(timeout, 0.0) * 1000) / 1000)
        self._pass = due, end, begin
        return events

    def _measure(self, due: float, before: _Reading, begin: _Reading, end: _Reading) -> None:
        """Measure one pass.

        :param due: when it should have begun.
        :param before: read before the selector waited.
        :param begin: read when it began.
        :param end: read when all callbacks had run.
        """
        total = end.at - due
        used = end.used - begin.used
        waited = min(end.waited - before.waited, total)
        collected_elsewhere = (end.collected_by_process - before.collected_by_process) - (
            end.collected - before.collected
        )
        used_elsewhere = (end.used_by_process - before.used_by_process) - (end.used - before.used)
        kept_waiting = max(total - used - waited - collected_elsewhere, 0.0)
        self._stalls = self._stalls.longest(
            Stalls(
                total,
                own_work=used - (end.collected - begin.collected),
                other_threads=min(kept_waiting, max(used_elsewhere - collected_elsewhere, 0.0)),
                processor=waited,
            )
        )

    def _read(self) -> _Reading:
        waited = int(os.pread(self._scheduling, 100, 0).split()[1]) / 1e9
        collected_by_process = self._collected_by_process
        if self._collection is not None:  # another thread is still collecting, or has not reported its end yet
            clock, began = self._collection
            collected_by_process += time.clock_gettime(clock) - began
        used, used_by_process = time.thread_time(), time.process_time()
        return _Reading(time.monotonic(), used, used_by_process, waited, self._collected, collected_by_process)

    def _note_collection(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collection = time.pthread_getcpuclockid(threading.get_ident()), time.thread_time()
        elif self._collection is not None:
            used = time.thread_time() - self._collection[1]
            self._collection = None
            self._collected_by_process += used
            if threading.get_ident() == self._thread:
                self._collected += used
            self._stalls = self._stalls.longest(Stalls(collection=used))
