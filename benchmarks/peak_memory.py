"""Time, processor time and peak memory of a piece of work in this process. Linux only."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


@dataclass(frozen=True)
class Cost:
    """What a piece of work took.

    :param seconds: by the clock.
    :param processor: seconds of the processor, in this process alone.
    :param memory: MB of its peak above what the process had at the start.
    """

    seconds: float
    processor: float
    memory: float


def measure(work: Callable[[], object]) -> Cost:
    """Run something. The kernel keeps the peak, so nothing is missed between two samples.

    :param work: what to run.
    :return: what it took.
    """
    gc.collect()
    _CLEAR.write_text(_RESET_PEAK)
    before = psutil.Process().memory_info().rss
    began, used = time.monotonic(), time.process_time()
    work()
    seconds, processor = time.monotonic() - began, time.process_time() - used
    return Cost(seconds, processor, (_peak() - before) / 1e6)


def _peak() -> int:
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
