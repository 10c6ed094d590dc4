"""Many ``ShipmentStatusTrigger`` in one event loop, as the triggerer runs them: what delays it, and their memory."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from benchmarks.event_loop import MeasuringSelector, Stalls
from benchmarks.triggerer import in_own_process, start_and_cancel_a_trigger
from benchmarks.waiting_plan import POKE_SECONDS, RECONCILE_SECONDS, Parcel

IDLE_SECONDS = 3.0
"""How long the event loop is measured without load."""


@dataclass
class TriggersResult:
    """What happened to the triggers. Times are readings of the monotonic clock, which all processes share.

    :param began: when the first trigger was started.
    :param ended: when each trigger yielded its event; None if not before the time limit.
    :param results: what the event said.
    :param idle: the longest stalls of the event loop without load.
    :param starting: the longest until all triggers had read their connection and subscribed to the poller.
    :param waiting: the longest afterwards.
    :param bytes_each: growth of the resident set at its peak, for each trigger.
    """

    began: float = 0.0
    ended: list[float | None] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    idle: Stalls = field(default_factory=Stalls)
    starting: Stalls = field(default_factory=Stalls)
    waiting: Stalls = field(default_factory=Stalls)
    bytes_each: float = 0.0


def run_triggers(
    waits: Sequence[Sequence[Parcel]], connection: dict[str, Any], scale: float, give_up_after: float
) -> TriggersResult:
    """Run a trigger for each wait, in one event loop of a new process.

    :param waits: the parcels of each.
    :param connection: the Airflow connection.
    :param scale: clock seconds in a real second; the triggers' own times are shortened by it.
    :param give_up_after: clock seconds after which those that still wait are ended.
    :return: when and how each wait ended.
    """
    return in_own_process(connection, _triggerer, waits, scale, give_up_after)


async def _triggerer(
    selector: MeasuringSelector, waits: Sequence[Sequence[Parcel]], scale: float, give_up_after: float
) -> TriggersResult:
    from airflow_provider_trackingmore.api.models import ShipmentKey
    from airflow_provider_trackingmore.triggers.shipments import ShipmentStatusTrigger
    from airflow_provider_trackingmore.waiting.pollers import pollers_of_running_loop
    from airflow_provider_trackingmore.waiting.spec import WaitSpec

    poke_interval = POKE_SECONDS / scale
    result = TriggersResult(ended=[None] * len(waits), results=["waiting"] * len(waits))
    open_waits = set(range(len(waits)))

    async def wait(at: int) -> None:
        spec = WaitSpec.create(
            shipments=[ShipmentKey(*parcel) for parcel in waits[at]],
            poke_interval=poke_interval,
            reconcile_seconds=RECONCILE_SECONDS / scale,
        )
        trigger = ShipmentStatusTrigger(spec)
        async for event in trigger.run():
            result.ended[at] = time.monotonic()
            result.results[at] = event.payload["result"]
        open_waits.discard(at)

    pollers = pollers_of_running_loop()
    await start_and_cancel_a_trigger()
    ticking = asyncio.create_task(_tick())
    selector.take_stalls()
    await asyncio.sleep(IDLE_SECONDS)
    result.idle = selector.take_stalls()
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    await asyncio.sleep(0.01)
    selector.take_stalls()
    result.began = time.monotonic()
    tasks = []
    for at in range(len(waits)):  # as the triggerer does: one after the other, the loop goes on in between
        tasks.append(asyncio.create_task(wait(at)))
        await asyncio.sleep(0)
    # There is no signal that all have read their connection; on a busy machine the first ones have ended by then.
    while pollers.open_waits < len(open_waits):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    result.starting = selector.take_stalls()
    heaviest = process.memory_info().rss
    until = result.began + give_up_after / scale
    while open_waits and time.monotonic() < until:
        await asyncio.sleep(poke_interval / 10)
        heaviest = max(heaviest, process.memory_info().rss)
    result.waiting = selector.take_stalls()
    result.bytes_each = (heaviest - before) / len(waits)
    ticking.cancel()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return result


async def _tick() -> None:
    """Wake up every millisecond, so that no stall of the loop goes unnoticed."""
    while True:  # noqa: ASYNC110 - there is nothing to wait for
        await asyncio.sleep(0.001)
