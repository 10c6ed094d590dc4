"""What thousands of waits cost: the work for each may not grow with their number. On virtual time.

Work is counted in function calls of the package, generators included, so the result does not depend on the machine.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import pytest

import airflow_provider_trackingmore
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.outcome import WaitResult
from airflow_provider_trackingmore.waiting.pollers import pollers_of_running_loop
from airflow_provider_trackingmore.waiting.session import run_wait
from airflow_provider_trackingmore.waiting.spec import WaitSpec
from tests.unit.waiting.conftest import Account

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]
PACKAGE = str(Path(airflow_provider_trackingmore.__file__).parent)
FEW, MANY = 200, 800
LINEAR = 1.25 * MANY / FEW


class Calls:
    """How many functions of the package were called."""

    number = 0


@contextmanager
def counted() -> Iterator[Calls]:
    calls = Calls()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            calls.number += 1

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def key(number: object) -> ShipmentKey:
    return ShipmentKey("usps", f"N{number}")


async def start(account: Account, waits: int, *, shared: bool) -> list[asyncio.Task[Any]]:
    """Start waits one after the other, as the triggerer does, and return when all have subscribed."""

    async def connect() -> Account:
        return account

    tasks = []
    for number in range(waits):
        spec = WaitSpec.create(shipments=[key(0 if shared else number)], poke_interval=60.0, first_check_at=0.0)
        tasks.append(asyncio.create_task(run_wait(spec, connect)))
        await asyncio.sleep(0)
    while pollers_of_running_loop().open_waits < waits:  # noqa: ASYNC110 - there is no signal
        await asyncio.sleep(0)
    return tasks


async def calls_to_start_and_cancel(account: Account, waits: int, *, shared: bool) -> tuple[int, int]:
    with counted() as starting:
        tasks = await start(account, waits, shared=shared)
    with counted() as cancelling:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return starting.number, cancelling.number


async def calls_until_released(account: Account, waits: int, *, shared: bool) -> int:
    account.parcels = {key(number): "transit" for number in range(1 if shared else waits)}
    tasks = await start(account, waits, shared=shared)
    await asyncio.sleep(90)
    for parcel in account.parcels:
        account.change(parcel, "delivered")
    with counted() as calls:
        verdicts = await asyncio.gather(*tasks)
    assert {verdict.result for verdict in verdicts} == {WaitResult.RELEASED}
    return calls.number


@pytest.mark.parametrize("shared", [False, True], ids=["own parcels", "one parcel"])
def test_starting_and_cancelling_a_wait_does_not_cost_more_with_many_others(run: Run, shared: bool) -> None:
    few, many = (run(calls_to_start_and_cancel(Account(), waits, shared=shared)) for waits in (FEW, MANY))
    assert many[0] < LINEAR * few[0], "starting"
    assert many[1] < LINEAR * few[1], "cancelling"


@pytest.mark.parametrize("shared", [False, True], ids=["own parcels", "one parcel"])
def test_releasing_a_wait_does_not_cost_more_with_many_others(run: Run, shared: bool) -> None:
    few, many = (run(calls_until_released(Account(), waits, shared=shared)) for waits in (FEW, MANY))
    assert many < LINEAR * few
