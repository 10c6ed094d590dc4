"""Hints: what is checked early, and the limits on what they cost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import RateLimitError, ServerError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.window import LoadWindow
from airflow_provider_trackingmore.waiting.hint_checks import (
    MAX_HINTED,
    MAX_UNCLAIMED,
    SECONDS_PER_LIST,
    SECONDS_PER_SHIPMENT,
)
from airflow_provider_trackingmore.waiting.list_subscriptions import ListSubscription
from airflow_provider_trackingmore.waiting.poller import Poller
from airflow_provider_trackingmore.waiting.pollers import pollers_of_running_loop
from tests.unit.waiting.conftest import Account, Subscriber

Run = Callable[[Coroutine[Any, Any, None]], None]
PARCELS = [ShipmentKey("usps", f"N{number}") for number in range(500)]
ONE, TWO = PARCELS[:2]
FLOOD = 10_000


def now() -> float:
    return asyncio.get_running_loop().time()


def poller_of(account: Account) -> Poller:
    return pollers_of_running_loop().get(account)


@pytest.fixture(autouse=True)
def parcels(account: Account) -> None:
    account.parcels = dict.fromkeys(PARCELS, "transit")


def checked(account: Account, wanted: list[ShipmentKey], interval: float, **options: Any) -> Subscriber:
    return Subscriber(account, wanted, interval, **({"first_check_in": 0.0} | options))


def watch(account: Account, *, poke_interval: float = 1800.0, reconcile_seconds: float = 1800.0) -> ListSubscription:
    """Subscribe to the lists as a watcher that knows the first 400 parcels."""
    lists = poller_of(account).subscribe_to_lists(
        {}, LoadWindow(0, 0), poke_interval=poke_interval, reconcile_seconds=reconcile_seconds
    )
    lists.find_known = {parcel.normalized: parcel for parcel in PARCELS[:400]}.get
    return lists


async def first_check(subscriber: Subscriber) -> None:
    while (await subscriber.updates(120.0)) is not None:
        pass


@pytest.mark.parametrize("dated", [True, False], ids=["in the list of changes", "with updated_at null"])
def test_a_hint_shows_a_change_at_once(account: Account, run: Run, dated: bool) -> None:
    async def go() -> None:
        async with checked(account, [ONE, TWO], 1800) as subscriber:
            await first_check(subscriber)
            account.change(TWO, "delivered", dated=dated)
            began, calls = now(), len(account.calls)
            assert poller_of(account).check_now([ShipmentKey("USPS", "n1")], per_minute=120) == 1
            found = await subscriber.updates()
            assert found is not None
            assert found[TWO].status == "delivered"
            assert now() - began < 1
            assert len(account.calls) == calls + 1

    run(go())


def test_a_hint_about_nothing_new_costs_one_call_and_moves_no_other_check(account: Account, run: Run) -> None:
    async def go() -> None:
        async with checked(account, [ONE], 600) as subscriber:
            await first_check(subscriber)
            (first,) = account.times("N0")
            poller_of(account).check_now([ONE], per_minute=120)
            assert await subscriber.updates(3_600) is None
            _, hinted, *later = account.times("N0")
            assert hinted == pytest.approx(first + 120, abs=3)
            assert [at - hinted for at in later] == pytest.approx([600 * n for n in range(1, len(later) + 1)], abs=5)
            assert len(later) == 5

    run(go())


def test_unknown_numbers_cost_nothing(account: Account, run: Run) -> None:
    async def go() -> None:
        async with checked(account, [ONE], 600) as subscriber:
            await first_check(subscriber)
            calls = len(account.calls)
            for number in range(FLOOD):
                assert poller_of(account).check_now([ShipmentKey("usps", f"X{number}")], per_minute=120) == 0
            assert await subscriber.updates(100) is None
            assert len(account.calls) == calls
            assert len(poller_of(account)._hints._unclaimed) == MAX_UNCLAIMED

    run(go())


def test_a_flood_about_one_parcel_costs_two_calls_a_minute(account: Account, run: Run) -> None:
    async def go() -> None:
        async with checked(account, [ONE], 100_000, reconcile_seconds=100_000) as subscriber:
            await first_check(subscriber)
            calls = len(account.calls)
            for _ in range(600):
                poller_of(account).check_now([ONE] * 10, per_minute=120)
                await asyncio.sleep(0.5)
            times = account.times("N0")[1:]
            assert len(account.calls) - calls == len(times) == 300 / SECONDS_PER_SHIPMENT

    run(go())


def test_a_flood_about_all_parcels_keeps_to_the_limit_and_to_every_other_call(account: Account, run: Run) -> None:
    async def go() -> None:
        async with checked(account, PARCELS, 100_000, reconcile_seconds=100_000) as subscriber:
            await first_check(subscriber)
            calls = len(account.calls)
            for at in range(600):
                poller_of(account).check_now([PARCELS[at * 7 % 500]], per_minute=60)
                await asyncio.sleep(0.1)
            assert len(account.calls) - calls <= 31
            hinted = list(poller_of(account)._state.registry.shipments.values())
            assert sum(1 for shipment in hinted if shipment.hinted_at > 0) == 60
            await asyncio.sleep(60)
            assert sum(1 for shipment in hinted if shipment.hinted_at > 0) == 120, "the others are checked later"

    run(go())


def test_a_batch_shares_a_call(account: Account, run: Run) -> None:
    async def go() -> None:
        async with checked(account, PARCELS, 100_000, reconcile_seconds=100_000) as subscriber:
            await first_check(subscriber)
            calls = len(account.calls)
            for key in PARCELS[100:140]:
                poller_of(account).check_now([key], per_minute=1000)
                await asyncio.sleep(0.001)
            await asyncio.sleep(10)
            assert len(account.calls) == calls + 1
            assert set(account.calls[-1][1]) == {key.tracking_number for key in PARCELS[100:140]}

    run(go())


@pytest.mark.parametrize("error", [RateLimitError("slow down", retry_after=120), ServerError("down", http_status=503)])
def test_hints_end_no_back_off_and_no_cool_down(account: Account, run: Run, error: Exception) -> None:
    async def go() -> None:
        async with checked(account, PARCELS[:100], 60) as subscriber:
            await first_check(subscriber)
            account.fault = lambda numbers: error
            calls = len(account.calls)
            for _ in range(1200):
                poller_of(account).check_now(PARCELS[:100], per_minute=1000)
                await asyncio.sleep(0.5)
            assert len(account.calls) - calls <= 40, "in ten minutes; without hints it is as many"

    run(go())


def test_a_hint_that_comes_just_before_the_trigger_subscribes_is_used(account: Account, run: Run) -> None:
    """A task has checked the parcel on a worker. Before its trigger starts, it is delivered and the webhook arrives."""

    async def go() -> None:
        async with checked(account, [ONE], 1800) as other:
            await first_check(other)
            poller_of(account).check_now([TWO], per_minute=120)
            await asyncio.sleep(5)
            account.change(TWO, "delivered")
            async with checked(account, [TWO], 1800, first_check_in=None) as subscriber:
                found = await subscriber.updates(5)
                assert found is not None
                assert found[TWO].status == "delivered"
            await asyncio.sleep(100)
            calls = len(account.calls)
            async with checked(account, [TWO], 1800, first_check_in=None) as again:
                assert await again.updates(60) is None
            assert len(account.calls) == calls, "it is used once"

    run(go())


def test_watchers_read_the_list_of_changes_early_and_no_more_than_twice_a_minute(account: Account, run: Run) -> None:
    account.elsewhere = 0

    async def go() -> None:
        with watch(account) as lists:
            await lists.next_update()
            await asyncio.sleep(100)
            account.change(ONE, "delivered")
            began, calls = now(), len(account.calls)
            poller_of(account).check_now([], per_minute=1)
            update = await lists.next_update()
            assert now() - began < 1
            assert [row.key for row in update.changed] == [ONE.normalized]
            assert not update.is_full
            for _ in range(600):
                poller_of(account).check_now([PARCELS[450]], per_minute=120)
                await asyncio.sleep(0.5)
            assert 10 <= len(account.calls) - calls <= 12

    run(go())


@pytest.mark.parametrize("is_waited_for", [False, True])
def test_a_watcher_sees_a_change_that_the_list_of_changes_leaves_out(
    account: Account, run: Run, is_waited_for: bool
) -> None:
    account.elsewhere = 0

    async def go() -> None:
        poller = poller_of(account)
        with watch(account) as lists:
            await lists.next_update()
            async with checked(account, [ONE] if is_waited_for else [TWO], 1800) as subscriber:
                await first_check(subscriber)
                account.change(ONE, "delivered", dated=False)
                calls = len(account.calls)
                poller.check_now([ShipmentKey("USPS", "n0"), PARCELS[450]], per_minute=120)
                update = await lists.next_update()
                assert update.changed == []
                assert {key: seen.status for key, seen in update.by_number.items()} == {ONE.normalized: "delivered"}
                await asyncio.sleep(5)
                asked = [numbers for _, numbers in account.calls[calls:]]
                assert asked == [["N0"], ["changes 1"]], "one call serves the wait, too"

    run(go())


def test_a_flood_about_shipments_that_a_watcher_knows_costs_one_more_call_in_half_a_minute(
    account: Account, run: Run
) -> None:
    account.elsewhere = 0

    async def go() -> None:
        poller = poller_of(account)
        with watch(account) as lists:
            await lists.next_update()
            await asyncio.sleep(100)
            calls = len(account.calls)
            for number in range(600):
                poller.check_now([PARCELS[number % 500], ShipmentKey("usps", f"X{number}")], per_minute=120)
                await asyncio.sleep(0.5)
            assert 20 <= len(account.calls) - calls <= 24
            assert len(lists.hinted) <= MAX_HINTED

    run(go())


def test_a_number_that_fails_ends_no_round_of_a_watcher(account: Account, run: Run) -> None:
    account.elsewhere = 0

    async def go() -> None:
        poller = poller_of(account)
        with watch(account) as lists:
            await lists.next_update()
            account.fault = lambda numbers: ServerError("down", http_status=500) if numbers == ["N0"] else None
            account.change(TWO, "exception")
            poller.check_now([ONE], per_minute=120)
            update = await lists.next_update()
            assert [row.key for row in update.changed] == [TWO.normalized]
            assert poller._state.health.failures == 0

    run(go())


def test_a_watcher_pauses_if_the_check_of_a_hinted_number_is_the_third_call_to_fail(account: Account, run: Run) -> None:
    account.elsewhere = 0

    async def go() -> None:
        poller = poller_of(account)

        def down(numbers: list[str]) -> Exception:
            error = ServerError("down", http_status=500)
            for _ in range(2):  # two checks for waits have failed just before
                poller._state.health.is_service_down(error)
            return error

        with watch(account) as lists:
            await lists.next_update()
            calls, account.fault = len(account.calls), down
            poller.check_now([ONE], per_minute=120)
            await asyncio.sleep(2.0)
            assert [numbers for _, numbers in account.calls[calls:]] == [["N0"]]
            assert poller._state.health.failures == 1

    run(go())


def test_a_hint_that_comes_while_a_watcher_reads_its_lists_is_followed_soon(account: Account, run: Run) -> None:
    account.elsewhere, account.latency = 0, 5.0

    async def go() -> None:
        poller = poller_of(account)
        with watch(account, reconcile_seconds=1e6) as lists:
            await lists.next_update()
            account.was_called.clear()
            await account.was_called.wait()
            account.change(ONE, "delivered", dated=False)
            began = now()
            poller.check_now([ONE], per_minute=120)
            while not (update := await lists.next_update()).by_number:
                pass
            assert update.by_number[ONE.normalized].status == "delivered"
            assert now() - began <= SECONDS_PER_LIST + 3 * account.latency

    run(go())


def test_hints_that_do_not_fit_into_one_call_are_followed_one_call_after_the_other(account: Account, run: Run) -> None:
    account.elsewhere = 0

    async def go() -> None:
        poller = poller_of(account)
        with watch(account, reconcile_seconds=1e6) as lists:
            await lists.next_update()
            began = now()
            poller.check_now(PARCELS[:100], per_minute=120)
            seen: set[ShipmentKey] = set()
            while len(seen) < 100:
                seen |= (await lists.next_update()).by_number.keys()
            assert now() - began <= 3 * SECONDS_PER_LIST

    run(go())


def test_nothing_is_logged_for_hints_about_shipments_that_nobody_waits_for_any_more(
    account: Account, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def go() -> None:
        async with checked(account, [ONE, TWO], 1800) as subscriber:
            await first_check(subscriber)
            poller_of(account).check_now([ONE], per_minute=120)
            subscriber.keep([TWO])
            await asyncio.sleep(10)

    run(go())
    assert "early" not in caplog.text


def test_a_watcher_whose_lists_fail_keeps_its_pause(account: Account, run: Run) -> None:
    account.elsewhere = 0

    async def go() -> None:
        with watch(account, poke_interval=30.0) as lists:
            await lists.next_update()
            account.fault = lambda numbers: ServerError("down", http_status=503)
            await asyncio.sleep(400)
            calls = len(account.calls)
            for _ in range(100):
                poller_of(account).check_now([], per_minute=1)
                await asyncio.sleep(0.5)
            assert len(account.calls) - calls <= 1

    run(go())
