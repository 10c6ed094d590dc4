"""Subscriptions to lists: their calls, which waits share, and what happens on failures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import AuthenticationError, ServerError, TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.window import LoadWindow
from airflow_provider_trackingmore.waiting.list_publisher import common_window
from airflow_provider_trackingmore.waiting.list_subscriptions import ListSubscription, ListUpdate
from airflow_provider_trackingmore.waiting.pollers import pollers_of_running_loop
from airflow_provider_trackingmore.waiting.responses import ObservedRow
from tests.unit.waiting.conftest import Account, Subscriber

Run = Callable[[Coroutine[Any, Any, None]], None]
EVERYTHING = LoadWindow(None, None)
SINCE = LoadWindow(0, 0)
PARCELS = [ShipmentKey("usps", f"N{number}") for number in range(100)]


def subscribe(account: Account, window: LoadWindow = EVERYTHING, **options: Any) -> ListSubscription:
    poller = pollers_of_running_loop().get(account)
    given = {"poke_interval": 600.0, "reconcile_seconds": 1800.0} | options
    return poller.subscribe_to_lists(given.pop("filters", {}), window, **given)


@pytest.fixture(autouse=True)
def parcels(account: Account) -> None:
    account.elsewhere = 0
    account.parcels = dict.fromkeys(PARCELS, "transit")


def kinds(account: Account) -> list[str]:
    return [numbers[0].split()[0] if len(numbers) == 1 else "numbers" for _, numbers in account.calls]


def test_an_update_has_all_rows_in_the_vendors_spelling(account: Account, run: Run) -> None:
    async def go() -> None:
        with subscribe(account) as lists:
            update = await lists.next_update()
            assert update.is_full
            assert [row.sent_key for row in update.listed] == PARCELS
            assert {row.observed.status for row in update.listed if row.observed} == {"transit"}
            assert update.changed == [], "the list of everything has shown all changes"

    run(go())
    assert kinds(account) == ["list"]


def test_a_full_list_comes_every_reconcile_seconds_and_changes_at_every_interval(account: Account, run: Run) -> None:
    async def go() -> None:
        with subscribe(account, SINCE) as lists:
            found = [await lists.next_update() for _ in range(7)]
            assert [update.is_full for update in found] == [True, False, False, True, False, False, True]

    run(go())
    assert kinds(account) == [
        "list",
        "changes",
        *["changes"] * 2,
        "list",
        "changes",
        *["changes"] * 2,
        "list",
        "changes",
    ]
    times = [at for at, numbers in account.calls if numbers[0].startswith("changes")]
    assert times[-1] - times[0] == pytest.approx(6 * 600, abs=1)


@pytest.mark.parametrize(("poke_interval", "reconcile_seconds"), [(600.0, 60.0), (600.0, 1000.0), (600.0, 1100.0)])
def test_a_full_list_is_never_later_than_reconcile_seconds(
    account: Account, run: Run, poke_interval: float, reconcile_seconds: float
) -> None:
    async def go() -> None:
        options = {"poke_interval": poke_interval, "reconcile_seconds": reconcile_seconds}
        with subscribe(account, SINCE, **options) as lists:
            full = 0
            while full < 5:
                full += (await lists.next_update()).is_full

    run(go())
    times = [at for at, numbers in account.calls if numbers[0].startswith("list")]
    assert max(after - before for before, after in pairwise(times)) <= reconcile_seconds + 1


def test_the_first_update_is_a_full_list_even_if_a_hint_makes_it_early(account: Account, run: Run) -> None:
    async def go() -> None:
        with subscribe(account, reconcile_seconds=10.0) as lists:
            pollers_of_running_loop().get(account).check_now(PARCELS[:1], per_minute=120)
            assert len((await lists.next_update()).listed) == len(PARCELS)

    run(go())


def test_lists_that_are_always_due_do_not_keep_a_wait_from_its_answer(account: Account, run: Run) -> None:
    account.latency = 1.5

    async def go() -> None:
        with subscribe(account, SINCE, poke_interval=1.0):
            async with Subscriber(account, [ShipmentKey("usps", "missing")], 60.0, first_check_in=0.0) as wait:
                (observed,) = (await wait.updates(120.0) or {}).values()
                assert observed.status is None

    run(go())


def test_subscriptions_with_the_same_filters_share_their_calls(account: Account, run: Run) -> None:
    async def go() -> None:
        with subscribe(account) as one, subscribe(account) as two, subscribe(account, filters={"lang": "de"}) as other:
            assert await one.next_update() == await two.next_update()
            await other.next_update()

    run(go())
    assert kinds(account) == ["list", "list"]


def test_a_wait_needs_no_calls_of_its_own_beside_a_subscription_to_lists(account: Account, run: Run) -> None:
    async def go() -> None:
        with subscribe(account, SINCE) as lists:
            async with Subscriber(account, PARCELS, 600.0, first_check_in=0.0) as wait:
                assert set(await wait.updates() or ()) == set(PARCELS)
                account.change(PARCELS[3], "delivered")
                for _ in range(4):
                    await lists.next_update()
                assert (await wait.updates(0) or {}).keys() == {PARCELS[3]}

    run(go())
    assert "numbers" not in kinds(account)
    assert kinds(account).count("list") <= 2


def test_the_wait_beside_it_keeps_its_own_shorter_interval(account: Account, run: Run) -> None:
    async def go() -> None:
        with subscribe(account, SINCE):
            async with Subscriber(account, PARCELS[:5], 60.0, first_check_in=0.0) as wait:
                await wait.updates()
                account.change(PARCELS[3], "delivered")
                before = asyncio.get_running_loop().time()
                await wait.updates()
                assert asyncio.get_running_loop().time() - before <= 61

    run(go())


def test_a_list_that_fails_is_read_again_with_back_off(account: Account, run: Run) -> None:
    account.failures = [ServerError("down", code=500)] * 6

    async def go() -> None:
        with subscribe(account) as lists:
            assert len((await lists.next_update()).listed) == 100

    run(go())
    times = [at for at, _ in account.calls]
    gaps = [after - before for before, after in pairwise(times)]
    assert len(gaps) == 6
    assert gaps[0] >= 2.5
    assert gaps[-1] >= 80


def test_a_refused_account_ends_the_subscription(account: Account, run: Run) -> None:
    account.fault = lambda numbers: AuthenticationError("wrong key", code=4001, from_api=True)

    async def go() -> None:
        with subscribe(account) as lists, pytest.raises(AuthenticationError):
            await lists.next_update()

    run(go())
    assert len(account.calls) == 2, "the refusal was confirmed"


def test_a_bug_ends_the_subscription_with_a_reason(account: Account, run: Run) -> None:
    def broken(numbers: list[str]) -> Exception:
        return RuntimeError("a bug")

    account.fault = broken

    async def go() -> None:
        with subscribe(account) as lists, pytest.raises(TrackingMoreError, match="RuntimeError"):
            await lists.next_update()

    run(go())


def test_the_last_check_of_a_wait_does_not_queue_behind_a_long_list(account: Account, run: Run) -> None:
    account.elsewhere = 30_000
    account.latency = 5.0

    async def go() -> None:
        poller = pollers_of_running_loop().get(account)
        with subscribe(account) as lists:
            async with Subscriber(account, PARCELS[:2], 3600.0, first_check_in=3000.0) as wait:
                await asyncio.sleep(12)
                before = asyncio.get_running_loop().time()
                poller.check_at_deadline(wait.subscription)
                while wait.subscription.awaits_full_check:
                    await wait.updates()
                assert asyncio.get_running_loop().time() - before < 30
                assert lists.due_at < before, "the list is still being read"

    run(go())


def test_deadlines_during_an_outage_do_not_lengthen_the_pause_after_it(account: Account, run: Run) -> None:
    async def go() -> None:
        poller = pollers_of_running_loop().get(account)
        now = asyncio.get_running_loop().time
        with contextlib.ExitStack() as stack:
            for status in ("transit", "pickup", "delivered", "exception", "expired"):  # five lists
                stack.enter_context(subscribe(account, SINCE, filters={"status": status}, poke_interval=10.0))
            await asyncio.sleep(30)
            outage_ends = now() + 60.0
            account.fault = lambda numbers: ServerError("500") if now() < outage_ends else None
            async with Subscriber(account, PARCELS[:1], 3600.0, first_check_in=3000.0) as wait:
                while now() < outage_ends:
                    poller.check_at_deadline(wait.subscription)
                    await asyncio.sleep(5)
            await asyncio.sleep(400)
        resumed = min(at for at, _ in account.calls if at >= outage_ends)
        assert resumed <= outage_ends + 2 * 60.0 + 10.0, "each pause is at most twice as long as all before it"

    run(go())


def test_an_update_that_was_not_taken_is_replaced_but_its_full_list_is_kept(account: Account, run: Run) -> None:
    async def go() -> None:
        with subscribe(account) as lists:
            rows = [ObservedRow(PARCELS[number], None, None) for number in range(3)]
            lists.add_update(ListUpdate(rows[:1], rows[1:2], is_full=True))
            lists.add_update(ListUpdate([], rows[2:], is_full=False))
            assert await lists.next_update() == ListUpdate(rows[:1], rows[2:], is_full=True)

    run(go())


def test_the_common_window_contains_all_windows() -> None:
    assert common_window([LoadWindow(5, 9), LoadWindow(7, 3)]) == LoadWindow(5, 3)
    assert common_window([LoadWindow(5, 9), EVERYTHING]) == LoadWindow(None, 0)
