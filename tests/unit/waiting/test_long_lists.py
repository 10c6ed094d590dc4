"""Between two pages of a long list other shipments are checked, but only if one of them is late. On virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any, TypeVar

import pytest

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.outcome import WaitResult
from airflow_provider_trackingmore.waiting.session import run_wait
from airflow_provider_trackingmore.waiting.spec import WaitSpec
from airflow_provider_trackingmore.waiting.state import PollerState
from tests.unit.waiting.conftest import Account, Subscriber

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]
LARGE = [ShipmentKey("usps", f"L{number}") for number in range(6_000)]
OTHER = ShipmentKey("dhl", "N1")
PAGES = 20
LATENCY = 2.0
LIST_SECONDS = PAGES * LATENCY


@pytest.fixture
def account() -> Account:
    """An account whose list has 20 pages, which are read in 40 seconds. By number, the large wait takes 150 calls."""
    account = Account()
    account.parcels = dict.fromkeys([*LARGE, OTHER], "transit")
    account.elsewhere = PAGES * 2_000 - len(account.parcels)
    account.latency = LATENCY
    return account


async def begin_second_list(account: Account) -> float:
    """Return when the first page of the second list is requested."""
    async with asyncio.timeout(1_000):
        while sum(numbers == ["list 1"] for _, numbers in account.calls) < 2:
            account.was_called.clear()
            await account.was_called.wait()
    account.calls = account.calls[-1:]
    return account.calls[0][0]


def test_all_shipments_are_examined_once_for_a_list_and_not_after_each_page(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined = []
    find_due = PollerState.find_due

    async def counted(state: PollerState, now: float) -> Any:
        examined.append(now)
        return await find_due(state, now)

    async def scenario() -> None:
        async with Subscriber(account, LARGE, 100.0, reconcile_seconds=100.0, first_check_in=0.0):
            await begin_second_list(account)
            begin = len(examined)
            await asyncio.sleep(LIST_SECONDS - LATENCY / 2)
            assert account.requested == [[f"list {page}"] for page in range(1, PAGES + 1)]
            assert len(examined) == begin

    monkeypatch.setattr(PollerState, "find_due", counted)
    run(scenario())


@pytest.mark.parametrize("joins_after", [None, 7.0], ids=["before", "meanwhile"])
def test_a_shipment_with_a_shorter_interval_is_checked_while_a_long_list_is_read(
    account: Account, run: Run, joins_after: float | None
) -> None:
    async def scenario() -> None:
        async with AsyncExitStack() as subscriptions:
            other = Subscriber(account, [OTHER], 5.0, reconcile_seconds=5.0, first_check_in=5.0)
            large = Subscriber(account, LARGE, 100.0, reconcile_seconds=100.0, first_check_in=0.0)
            if joins_after is None:
                await subscriptions.enter_async_context(other)
            await subscriptions.enter_async_context(large)
            begin = await begin_second_list(account)
            if joins_after is not None:
                await asyncio.sleep(joins_after)
                await subscriptions.enter_async_context(other)
            await asyncio.sleep(begin + LIST_SECONDS - asyncio.get_running_loop().time())
            assert ["list 10"] in account.requested
            times = [begin + (joins_after or 0.0), *account.times(OTHER.tracking_number), begin + LIST_SECONDS]
            # Late by an interval, found after the page that is being read then; each check takes a call itself.
            assert max(b - a for a, b in pairwise(times)) <= 2 * 5.0 + 2 * LATENCY

    run(scenario())


def test_the_last_check_of_a_wait_at_its_deadline_does_not_queue_behind_a_long_list(account: Account, run: Run) -> None:
    async def connect() -> Account:
        return account

    async def scenario() -> None:
        async with Subscriber(account, LARGE, 100.0, reconcile_seconds=100.0, first_check_in=0.0):
            loop = asyncio.get_running_loop()
            deadline = loop.time() + LIST_SECONDS + 100.0 + LIST_SECONDS / 2
            spec = WaitSpec.create(shipments=[OTHER], poke_interval=1_000.0, first_check_at=0.0, deadline=deadline)
            wait = asyncio.create_task(run_wait(spec, connect, clock=loop.time))
            begin = await begin_second_list(account)
            assert begin < deadline < begin + LIST_SECONDS, "choose another deadline"
            account.change(OTHER, "delivered", dated=False)
            verdict = await wait
            assert verdict.result is WaitResult.RELEASED
            assert loop.time() < deadline + 3 * LATENCY
            assert ["list 20"] not in account.requested

    run(scenario())
