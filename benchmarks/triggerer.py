"""A process with an event loop like the triggerer's, for the benchmarks of triggers."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from benchmarks.event_loop import MeasuringSelector

T = TypeVar("T")


def in_own_process(connection: dict[str, Any], work: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
    """Run a coroutine function in the event loop of a new process, so that nothing else of the benchmark counts.

    :param connection: the Airflow connection of the triggers.
    :param work: a function of a module; its first argument is the selector that measures the loop.
    :param arguments: its other arguments.
    :return: what it returned.
    """
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory, ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(_run, directory, connection, work, arguments).result()


def _run(
    directory: str,
    connection: dict[str, Any],
    work: Callable[..., Coroutine[Any, Any, T]],
    arguments: tuple[Any, ...],
) -> T:
    os.environ["TRACKINGMORE_PACING_DIR"] = directory
    os.environ["AIRFLOW_CONN_TRACKINGMORE_DEFAULT"] = json.dumps(connection)
    selector = MeasuringSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        return runner.run(work(selector, *arguments))


async def start_and_cancel_a_trigger() -> None:
    """Run one trigger first, so that its modules and threads do not count as memory of those that are measured."""
    from airflow_provider_trackingmore.api.models import ShipmentKey
    from airflow_provider_trackingmore.triggers.shipments import ShipmentStatusTrigger
    from airflow_provider_trackingmore.waiting.pollers import pollers_of_running_loop
    from airflow_provider_trackingmore.waiting.spec import WaitSpec

    pollers = pollers_of_running_loop()
    trigger = ShipmentStatusTrigger(WaitSpec.create(shipments=[ShipmentKey("ups", "SBX-WARM-UP")]))
    task = asyncio.create_task(first_event(trigger))
    while not pollers.open_waits:  # noqa: ASYNC110 - nobody tells that it has subscribed
        await asyncio.sleep(0.02)
    task.cancel()  # before its first check
    await asyncio.gather(task, return_exceptions=True)


async def first_event(trigger: Any) -> Any:
    """Run a trigger until it yields an event.

    :return: the event.
    """
    async for event in trigger.run():
        return event
    raise AssertionError("the trigger ended without an event")
