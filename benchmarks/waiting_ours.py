"""Many ``ShipmentStatusTrigger`` in one event loop, as the triggerer runs them; how long they hold it, what they weigh.

Works in a process of its own, so that nothing else of the benchmark weighs or blocks. Knows no sandbox.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psutil

from benchmarks.waiting_plan import POKE_SECONDS, RECONCILE_SECONDS, Parcel

Stall: TypeAlias = tuple[float, float]
"""Real seconds; the second one is processor time that this process used meanwhile, without collecting garbage."""
IDLE_SECONDS = 3.0
"""For so long the event loop is watched without load."""


@dataclass
class Seen:
    """What became of the triggers. Moments are readings of the monotonic clock, which all processes share.

    :param began: when the first trigger was started.
    :param ended: when each trigger yielded its event; None: it had not when the time was up.
    :param results: what the event said.
    :param idle: longest stall of the event loop without load.
    :param starting: longest until all triggers had looked up their connection and subscribed to the poller.
    :param waiting: longest afterwards.
    :param bytes_each: growth of the resident set at its peak, for each trigger.
    """

    began: float = 0.0
    ended: list[float | None] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    idle: Stall = (0.0, 0.0)
    starting: Stall = (0.0, 0.0)
    waiting: Stall = (0.0, 0.0)
    bytes_each: float = 0.0


def run_triggers(
    waits: Sequence[Sequence[Parcel]], connection: dict[str, Any], scale: float, give_up_after: float
) -> Seen:
    """Run a trigger for each wait, in one event loop of a new process.

    :param waits: the parcels of each.
    :param connection: the Airflow connection.
    :param scale: clock seconds in a real second; the triggers' own times are shortened by it.
    :param give_up_after: clock seconds after which those that still wait are ended.
    :return: what became of them.
    """
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory, ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(_work, waits, connection, scale, give_up_after, directory).result()


def _work(
    waits: Sequence[Sequence[Parcel]],
    connection: dict[str, Any],
    scale: float,
    give_up_after: float,
    directory: str,
) -> Seen:
    os.environ["TRACKINGMORE_PACING_DIR"] = directory
    os.environ["AIRFLOW_CONN_TRACKINGMORE_DEFAULT"] = json.dumps(connection)
    return asyncio.run(_triggerer(waits, scale, give_up_after))


async def _triggerer(waits: Sequence[Sequence[Parcel]], scale: float, give_up_after: float) -> Seen:
    from airflow_provider_trackingmore.api.models import ShipmentKey
    from airflow_provider_trackingmore.triggers.shipments import ShipmentStatusTrigger
    from airflow_provider_trackingmore.waiting.pollers import pollers_of_running_loop
    from airflow_provider_trackingmore.waiting.spec import WaitSpec

    poke_interval = POKE_SECONDS / scale
    seen = Seen(ended=[None] * len(waits), results=["waiting"] * len(waits))
    open_waits = set(range(len(waits)))

    async def wait(at: int) -> None:
        spec = WaitSpec.create(
            shipments=[ShipmentKey(*one) for one in waits[at]],
            poke_interval=poke_interval,
            reconcile_seconds=RECONCILE_SECONDS / scale,
        )
        trigger = ShipmentStatusTrigger(spec)
        async for event in trigger.run():
            seen.ended[at] = time.monotonic()
            seen.results[at] = event.payload["result"]
        open_waits.discard(at)

    # What the first trigger brings along (modules, threads) is not the others' weight. It ends before its first check.
    pollers = pollers_of_running_loop()
    first = asyncio.create_task(_run(ShipmentStatusTrigger(WaitSpec.create(shipments=[ShipmentKey(*waits[0][0])]))))
    while not pollers.open_waits:  # noqa: ASYNC110 - nobody tells that it has subscribed
        await asyncio.sleep(0.02)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    watch = asyncio.create_task(_watch(stalls := _Stalls()))
    await asyncio.sleep(IDLE_SECONDS)
    seen.idle = stalls.longest()
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    seen.began = time.monotonic()
    tasks = []
    for at in range(len(waits)):  # as the triggerer does: one after the other, the loop goes on in between
        tasks.append(asyncio.create_task(wait(at)))
        await asyncio.sleep(0)
    while pollers.open_waits < len(waits):  # noqa: ASYNC110 - nobody tells that all have looked up their connection
        await asyncio.sleep(0.02)
    seen.starting = stalls.longest()
    heaviest = process.memory_info().rss
    until = seen.began + give_up_after / scale
    while open_waits and time.monotonic() < until:
        await asyncio.sleep(poke_interval / 10)
        heaviest = max(heaviest, process.memory_info().rss)
    seen.waiting = stalls.longest()
    seen.bytes_each = (heaviest - before) / len(waits)
    watch.cancel()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return seen


async def _run(trigger: Any) -> None:
    async for _ in trigger.run():
        pass


class _Stalls:
    """The longest stalls, and how long Python has spent collecting garbage."""

    def __init__(self) -> None:
        self.worst: Stall = (0.0, 0.0)
        self.collected = 0.0
        self._began = 0.0
        gc.callbacks.append(self._collecting)

    def _collecting(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.monotonic()
        else:
            self.collected += time.monotonic() - self._began

    def longest(self) -> Stall:
        """Tell the longest since the last time this was asked."""
        worst, self.worst = self.worst, (0.0, 0.0)
        return worst


async def _watch(stalls: _Stalls) -> None:
    """Sleep a millisecond, over and over, and note how much longer it took."""
    while True:
        before, collected, used = time.monotonic(), stalls.collected, time.process_time()
        await asyncio.sleep(0.001)
        late = time.monotonic() - before - 0.001
        ours = min(late, time.process_time() - used) - (stalls.collected - collected)
        stalls.worst = max(stalls.worst[0], late), max(stalls.worst[1], ours)
