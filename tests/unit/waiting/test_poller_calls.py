"""The poller makes as few calls as possible and misses no change: on virtual time, like ``test_poller``."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from airflow_provider_trackingmore.api.errors import RateLimitError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.observation import NOT_REGISTERED, Observation
from airflow_provider_trackingmore.waiting.schedule import GATHER_SECONDS, MAX_GATHER_SECONDS
from tests.unit.waiting.conftest import Account, Subscriber

T = TypeVar("T")
Updates = dict[ShipmentKey, Observation]
Run = Callable[[Coroutine[Any, Any, T]], T]
RECONCILE = 1800.0


def key(number: object, carrier: str = "usps") -> ShipmentKey:
    return ShipmentKey(carrier, f"N{number}")


async def until(account: Account, wanted: list[ShipmentKey], status: str, interval: float = 60, **join: Any) -> float:
    """Wait as a trigger does, and return the loop's time at which all shipments have the status."""
    waiting = set(wanted)
    async with Subscriber(account, wanted, interval, **join) as subscriber:
        while waiting:
            updates = await subscriber.updates()
            assert updates is not None
            waiting -= {shipment for shipment, observed in updates.items() if observed.status == status}
            subscriber.keep(waiting)
    return asyncio.get_running_loop().time()


async def after(seconds: float, account: Account, one: ShipmentKey, status: str, **change: Any) -> None:
    await asyncio.sleep(seconds)
    account.change(one, status, **change)


async def change_every_minute(account: Account, keys: list[ShipmentKey], minutes: int) -> None:
    """Let shipments that nobody waits for change, for so many minutes."""
    for _ in range(minutes):
        account.changed_at |= dict.fromkeys(keys, asyncio.get_running_loop().time())
        await asyncio.sleep(60)


def kinds(account: Account) -> dict[str, int]:
    """The number of calls of each kind."""
    found: dict[str, int] = {}
    for _, numbers in account.calls:
        kind = numbers[0].split(" ")[0] if " " in numbers[0] else "number"
        found[kind] = found.get(kind, 0) + 1
    return found


def waiting_for(account: Account, count: int, *, changes: bool = True) -> list[ShipmentKey]:
    wanted = [key(number) for number in range(count)]
    account.parcels |= dict.fromkeys(wanted, "transit")
    if changes:
        account.changed_at |= dict.fromkeys(wanted, 0.0)
    return wanted


async def together(*coroutines: Coroutine[Any, Any, T]) -> list[T]:
    return await asyncio.gather(*coroutines)


def test_a_thousand_triggers_that_start_within_a_second_cost_the_calls_of_one(account: Account, run: Run) -> None:
    wanted = waiting_for(account, 1000)
    account.elsewhere = 0

    async def started(number: int) -> Updates | None:
        await asyncio.sleep(number / 1000)
        async with Subscriber(account, [wanted[number]], 1800, first_check_in=-500.0) as subscriber:
            return await subscriber.updates()

    run(together(*map(started, range(1000))))
    assert kinds(account) == {"list": 1}
    assert account.calls[0][0] - 1_000.0 == pytest.approx(0.999 + GATHER_SECONDS)


@pytest.mark.parametrize(("interval", "longest"), [(20.0, 20.0), (1800.0, MAX_GATHER_SECONDS)])
def test_the_first_check_waits_for_others_to_join_but_not_forever(
    account: Account, run: Run, interval: float, longest: float
) -> None:
    wanted = waiting_for(account, 200)
    account.elsewhere = 0

    async def started(number: int) -> float:
        await asyncio.sleep(number / 2)
        joined = asyncio.get_running_loop().time()
        async with Subscriber(account, [wanted[number]], interval, first_check_in=0.0) as subscriber:
            await subscriber.updates()
        return asyncio.get_running_loop().time() - joined

    waited = run(together(*map(started, range(200))))
    assert max(waited) <= longest + 0.1
    rounds = {round(at) for at, _ in account.calls}  # a call takes a hundredth of a second here
    assert len(rounds) <= 100 / longest + 1


def test_a_wait_that_joins_while_the_account_backs_off_does_not_shorten_the_pause(account: Account, run: Run) -> None:
    wanted = waiting_for(account, 20)
    account.failures = [RateLimitError("429", retry_after=500.0)]

    async def started(number: int) -> None:
        await asyncio.sleep(10.0 * number)
        async with Subscriber(account, [wanted[number]], 60, first_check_in=0.0) as subscriber:
            await subscriber.updates()

    run(together(*map(started, range(20))))
    assert [at - account.calls[0][0] >= 500 for at, _ in account.calls] == [False, True]


def test_in_a_large_account_they_cost_one_call_per_forty_and_one_for_the_length_of_the_list(
    account: Account, run: Run
) -> None:
    wanted = waiting_for(account, 1000)

    async def started(number: int) -> Updates | None:
        async with Subscriber(account, [wanted[number]], 1800, first_check_in=0.0) as subscriber:
            return await subscriber.updates()

    run(together(*map(started, range(1000))))
    assert kinds(account) == {"list": 1, "number": 25}


def test_a_list_that_is_too_long_for_the_first_waits_is_read_for_the_thousands_that_follow(
    account: Account, run: Run
) -> None:
    wanted = waiting_for(account, 2000)
    account.elsewhere = 8000

    async def started(number: int) -> None:
        await asyncio.sleep(0 if number < 100 else 30)
        async with Subscriber(account, [wanted[number]], 1800, first_check_in=0.0) as subscriber:
            await subscriber.updates()
            await asyncio.sleep(60)

    run(together(*map(started, range(2000))))
    assert kinds(account) == {"list": 1 + 5, "number": 3}


def test_changes_are_found_at_the_next_poll_with_one_call(account: Account, run: Run) -> None:
    wanted = waiting_for(account, 400)
    change = [after(600 + 10 * at, account, shipment, "delivered") for at, shipment in enumerate(wanted)]
    released = run(together(*(until(account, [shipment], "delivered") for shipment in wanted), *change))[:400]
    for at, moment in enumerate(released):
        assert 0 <= moment - (1_600.0 + 10 * at) <= 61
    cycles = (max(released) - 1_060.0) / 60
    calls = kinds(account)
    assert calls["changes"] >= cycles - 12, "the last forty are asked for by number, one call as well"
    least = cycles + 10 * (max(released) - 1_000.0) / RECONCILE * 0.5  # half of them are there on average
    assert len(account.calls) <= 1.1 * (least + 10 + 1), calls


def test_a_change_without_a_date_is_found_within_reconcile_seconds(account: Account, run: Run) -> None:
    wanted = waiting_for(account, 200)
    change = [after(1000, account, shipment, "delivered", dated=False) for shipment in wanted[::20]]
    rest = [after(9000, account, shipment, "delivered") for shipment in wanted]
    *released, _ = run(
        together(*(until(account, [shipment], "delivered") for shipment in wanted), together(*change, *rest))
    )
    for at, moment in enumerate(released):
        if at % 20 == 0:
            assert moment - 2_000.0 <= RECONCILE + 60


def test_full_checks_are_spread_evenly(account: Account, run: Run) -> None:
    wanted = waiting_for(account, 400)
    account.changed_at |= {shipment: -100.0 * at for at, shipment in enumerate(wanted)}
    never = [until(account, [shipment], "delivered") for shipment in wanted]
    ends = [after(4 * RECONCILE, account, shipment, "delivered") for shipment in wanted]
    run(together(*never, *ends))
    times = [at for at, numbers in account.calls if numbers[0].startswith("N") and at > 1_100.0]
    assert len(times) <= 4 * 10 + 12
    busiest = max(sum(1 for other in times if at <= other < at + 60) for at in times if at < 1_000.0 + 4 * RECONCILE)
    assert busiest <= 2, "not all at once"
    last = dict.fromkeys(wanted, 0.0)
    for at, numbers in account.calls:
        for number in numbers:
            if number.startswith("N"):
                one = key(number[1:])
                assert last[one] == 0.0 or at - last[one] <= RECONCILE + 1
                last[one] = at


def test_a_small_account_is_listed_rather_than_requested_by_number(account: Account, run: Run) -> None:
    wanted = waiting_for(account, 300)
    account.elsewhere = 100
    changes = [after(3000, account, shipment, "delivered", dated=False) for shipment in wanted]
    released = run(together(*(until(account, [shipment], "delivered") for shipment in wanted), *changes))[:300]
    assert max(released) <= 4_000.0 + 61
    assert set(kinds(account)) == {"list"}
    assert len(account.calls) == math.ceil(3000 / 60)


def test_a_wait_with_a_long_interval_is_a_full_check_each_time(account: Account, run: Run) -> None:
    wanted = waiting_for(account, 4000)
    account.elsewhere = 0
    changes = [after(9000, account, shipment, "delivered") for shipment in wanted]
    run(together(*(until(account, [shipment], "delivered", interval=1800) for shipment in wanted), *changes))
    assert kinds(account) == {"list": 2 * 5}


def test_two_carriers_may_share_a_number(account: Account, run: Run) -> None:
    here, there = key(1), key(1, "dhl")
    account.parcels |= {here: "transit", there: "delivered"}
    ends = after(300, account, here, "delivered")
    mine, others, _ = run(together(until(account, [here], "delivered"), until(account, [there], "delivered"), ends))
    assert (mine, others) == (pytest.approx(1_300.0, abs=1), pytest.approx(1_060.0, abs=1))


@pytest.mark.parametrize("number", ["A,B", "A B", "A&numbers=B", "A%2CB", "Ä/..", "#1", "+"])
def test_odd_numbers_do_not_prevent_checks_of_the_others(account: Account, run: Run, number: str) -> None:
    odd = ShipmentKey("usps", number)
    account.parcels |= {key(1): "delivered", odd: "transit"}

    async def check() -> Updates | None:
        async with Subscriber(account, [odd], 60) as subscriber:
            return await subscriber.updates()

    released, news = run(together(until(account, [key(1)], "delivered"), check()))
    assert released == pytest.approx(1_060.0, abs=1)
    assert news is not None
    assert news[odd].status == "transit", "with a comma, it is requested alone"


def test_spellings_of_one_shipment_share_a_call(account: Account, run: Run) -> None:
    account.parcels[ShipmentKey("usps", "ABC")] = "delivered"
    spelled = [ShipmentKey("usps", "ABC"), ShipmentKey("usps", "abc")]

    async def check(one: ShipmentKey) -> Updates | None:
        async with Subscriber(account, [one], 60) as subscriber:
            return await subscriber.updates()

    for shipment, news in zip(spelled, run(together(*map(check, spelled))), strict=True):
        assert news is not None
        assert set(news) == {shipment}
    assert len(account.calls) == 1


def test_a_state_that_another_dag_has_just_received_costs_no_call(account: Account, run: Run) -> None:
    wanted = waiting_for(account, 40)

    async def late() -> Updates | None:
        await asyncio.sleep(90)  # the first one was notified at 60
        async with Subscriber(account, wanted, 60) as subscriber:
            return await subscriber.updates(0.0)

    ends = [after(200, account, shipment, "delivered") for shipment in wanted]
    _, news, *_ = run(together(until(account, wanted, "delivered"), late(), *ends))
    assert news is not None
    assert set(news) == set(wanted)


def test_a_newcomer_costs_one_list_of_changes_and_not_one_after_the_other(account: Account, run: Run) -> None:
    wanted = waiting_for(account, 200)

    async def scenario() -> int:
        async with Subscriber(account, wanted, 600, first_check_in=0.0):
            await asyncio.sleep(100)
            for shipment in wanted[-2:]:
                account.change(shipment, "pickup")
            await asyncio.sleep(900)
            before = kinds(account).get("changes", 0)
            async with Subscriber(account, wanted[:100], 120, first_check_in=0.0):
                await asyncio.sleep(100)
        return kinds(account).get("changes", 0) - before

    assert run(scenario()) == 1


def test_a_newcomer_receives_what_is_known_when_the_list_of_changes_has_confirmed_it(
    account: Account, run: Run
) -> None:
    wanted = waiting_for(account, 200)
    del account.parcels[wanted[0]]

    async def scenario() -> dict[ShipmentKey, Observation]:
        received: dict[ShipmentKey, Observation] = {}
        async with Subscriber(account, wanted, 600, first_check_in=0.0):
            await asyncio.sleep(100)
            for shipment in wanted[-2:]:
                account.change(shipment, "pickup")
            await asyncio.sleep(900)
            before = kinds(account).get("changes", 0)
            async with Subscriber(account, wanted[:100], 120, first_check_in=0.0) as late:
                while len(received) < 100 and (updates := await late.updates(10)) is not None:
                    received |= updates
            assert kinds(account)["changes"] > before
        return received

    received = run(scenario())
    assert received.pop(wanted[0]) == NOT_REGISTERED
    assert {shipment: observed.status for shipment, observed in received.items()} == dict.fromkeys(
        wanted[1:100], "transit"
    )


def test_a_wait_does_not_get_an_older_state_than_its_interval_allows_because_others_accept_it(
    account: Account, run: Run
) -> None:
    wanted = waiting_for(account, 1)

    async def first_status(interval: float) -> str | None:
        await asyncio.sleep(200)
        async with Subscriber(account, wanted, interval) as subscriber:
            updates = await subscriber.updates()
        assert updates is not None
        return updates[wanted[0]].status

    async def scenario() -> list[str | None]:
        async with Subscriber(account, wanted, 600, first_check_in=0.0):
            return await together(first_status(60), first_status(600))

    _, statuses = run(together(after(150, account, wanted[0], "delivered"), scenario()))
    assert statuses == ["delivered", "transit"]


def test_a_shipment_that_is_deleted_meanwhile_is_reported_at_the_next_reconciliation_at_the_latest(
    account: Account, run: Run
) -> None:
    wanted = waiting_for(account, 200)

    async def vanish() -> None:
        await asyncio.sleep(700)
        del account.parcels[wanted[7]]

    async def check() -> float:
        async with Subscriber(account, [wanted[7]], 60) as subscriber:
            while (news := await subscriber.updates()) is not None:
                if news[wanted[7]] == NOT_REGISTERED:
                    break
        return asyncio.get_running_loop().time()

    ends = [after(4000, account, shipment, "delivered") for shipment in wanted if shipment != wanted[7]]
    others = [until(account, [shipment], "delivered") for shipment in wanted if shipment != wanted[7]]
    reported, *_ = run(together(check(), vanish(), *others, *ends))
    assert reported <= 1_700.0 + RECONCILE + 60


def test_a_list_is_not_read_again_at_once_for_a_shipment_that_it_leaves_out(account: Account, run: Run) -> None:
    wanted = waiting_for(account, 100)
    account.elsewhere, account.latency = 0, 1.0  # the list of everything takes one call and is a full check

    async def check() -> Updates | None:
        async with Subscriber(account, wanted, 60, reconcile_seconds=150.0) as subscriber:
            await subscriber.updates()
            await asyncio.sleep(100)
            del account.parcels[wanted[7]]
            return await subscriber.updates()

    assert run(check()) == {wanted[7]: NOT_REGISTERED}
    assert len(account.calls) <= 8, kinds(account)


def test_a_long_list_of_changes_elsewhere_is_not_read_again_and_again(account: Account, run: Run) -> None:
    wanted = waiting_for(account, 100)
    busy = [ShipmentKey("dhl", f"B{number}") for number in range(9_000)]
    account.parcels |= dict.fromkeys(busy, "transit")

    ends = [after(1200, account, shipment, "delivered") for shipment in wanted]
    run(
        together(
            *(until(account, [shipment], "delivered") for shipment in wanted),
            change_every_minute(account, busy, 20),
            *ends,
        )
    )
    assert kinds(account)["changes"] <= 3, "of twenty rounds, after 5 minutes and then 10 more"


def test_a_list_of_changes_that_is_too_long_at_first_is_used_as_soon_as_it_begins_later(
    account: Account, run: Run
) -> None:
    wanted = waiting_for(account, 100)
    others = [ShipmentKey("dhl", f"B{number}") for number in range(4_100)]
    account.parcels |= dict.fromkeys(others, "transit")
    account.changed_at |= dict.fromkeys(others, 500.0)

    moves = [after(100, account, shipment, "pickup") for shipment in wanted[:2]]
    ends = [after(800, account, shipment, "delivered") for shipment in wanted]
    run(together(*(until(account, [shipment], "delivered") for shipment in wanted), *moves, *ends))
    changes = account.times("changes 1")
    assert len([at for at in changes if at < 1_300.0]) == 1, "it was too long"
    assert len([at for at in changes if 1_500.0 < at < 1_800.0]) >= 4, "once a minute"


def test_a_list_of_changes_that_is_too_long_for_the_first_waits_is_read_for_the_thousands_that_follow(
    account: Account, run: Run
) -> None:
    wanted = waiting_for(account, 2000)
    busy = [ShipmentKey("dhl", f"B{number}") for number in range(4_500)]
    account.parcels |= dict.fromkeys(busy, "transit")

    async def started(number: int) -> float:
        await asyncio.sleep(0 if number < 100 else 150)
        return await until(account, [wanted[number]], "delivered", first_check_in=0.0)

    ends = [after(500, account, shipment, "delivered") for shipment in wanted]
    run(together(*map(started, range(2000)), change_every_minute(account, busy, 10), *ends))
    by_number = [at for at, numbers in account.calls if numbers[0].startswith("N")]
    rounds = [range(start, start + 60) for start in range(1_220, 1_460, 60)]  # all have had their first check
    assert max(sum(int(at) in one for at in by_number) for one in rounds) <= 3


def test_a_list_of_changes_with_several_pages_is_used_although_it_grows_while_it_is_read(
    account: Account, run: Run
) -> None:
    wanted = waiting_for(account, 2000)
    account.elsewhere = 30_000
    account.latency = 1.0
    busy = [ShipmentKey("dhl", f"B{number}") for number in range(6_000)]
    account.parcels |= dict.fromkeys(busy, "transit")

    async def change_all_the_time(seconds: int) -> None:
        for second in range(seconds):
            now = asyncio.get_running_loop().time()
            account.changed_at |= {busy[(second * 37 + number) % len(busy)]: now for number in range(37)}
            await asyncio.sleep(1)

    async def deliver() -> float:
        await asyncio.sleep(900)
        for shipment in wanted:
            account.change(shipment, "delivered")
        return asyncio.get_running_loop().time()

    *released, _, delivered = run(
        together(*(until(account, [shipment], "delivered") for shipment in wanted), change_all_the_time(960), deliver())
    )

    assert max(released) - delivered < 60 + 10, "an interval, and the calls"
    assert kinds(account)["changes"] <= 16 * 3, "one list a minute, of two pages"
    assert kinds(account).get("number", 0) + kinds(account).get("list", 0) <= 2000 / 40 + 16


def test_a_list_that_has_grown_is_still_read_while_it_saves_calls(account: Account, run: Run) -> None:
    wanted = waiting_for(account, 1000)
    account.elsewhere = 0

    async def grow() -> None:
        await asyncio.sleep(1900)
        account.elsewhere = 1500

    ends = [after(3700, account, shipment, "delivered") for shipment in wanted]
    run(together(*(until(account, [shipment], "delivered", interval=1800) for shipment in wanted), grow(), *ends))
    assert kinds(account) == {"list": 1 + 2 + 2}
