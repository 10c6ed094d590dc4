"""Failures at inconvenient times: around a deadline, while shipments are on hold, after a bug."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from airflow_provider_trackingmore.api.errors import (
    AuthenticationError,
    RateLimitError,
    ServiceUnavailableError,
    TrackingMoreError,
)
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.outcome import Verdict, WaitResult
from airflow_provider_trackingmore.waiting.pollers import Pollers
from airflow_provider_trackingmore.waiting.session import LAST_CHECK_SECONDS, run_wait
from airflow_provider_trackingmore.waiting.spec import WaitSpec
from tests.unit.waiting.conftest import Account, Subscriber

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]
START = 1_000.0
"""The loop's time at the start of a test. The waits use the same clock."""


def key(number: object) -> ShipmentKey:
    return ShipmentKey("usps", f"N{number}")


def now() -> float:
    return asyncio.get_running_loop().time()


async def end(*waits: asyncio.Task[Any]) -> None:
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    await asyncio.sleep(0)


def pollers() -> Pollers:
    return Pollers(clock=now, rng=random.Random(1))


async def wait_for(
    account: Account,
    number: object,
    shared: Pollers,
    *,
    deadline: float | None = None,
    poke: float = 60,
    reconcile: float = 1800,
    first: float = 0,
) -> tuple[Verdict, float]:
    """Wait for one delivery, and return the verdict and its time."""
    shipments = [{"carrier_code": "usps", "tracking_number": f"N{number}"}]
    spec = WaitSpec.create(
        shipments=shipments, poke_interval=poke, reconcile_seconds=reconcile, deadline=deadline, first_check_at=first
    )

    async def connect() -> Account:
        return account

    return await run_wait(spec, connect, pollers=shared, clock=now), now()


def fails_between(account: Account, number: object, begin: float, end: float) -> None:
    """Answer 503 to calls that name a number, or to all calls, for a while."""

    def fault(numbers: list[str]) -> Exception | None:
        is_affected = number is None or f"N{number}" in numbers or any(part.endswith(f"/N{number}") for part in numbers)
        return ServiceUnavailableError("503") if is_affected and begin <= now() < end else None

    account.fault = fault


def test_numbers_that_keep_failing_do_not_delay_the_confirmation_of_a_missing_one(
    account: Account, run: Run[Any]
) -> None:
    healthy, failing = range(100), range(100, 120)
    account.parcels |= {key(number): "transit" for number in (*healthy, *failing)}
    account.latency = 1.0
    account.fault = lambda numbers: (
        ServiceUnavailableError("503") if any(f"N{number}" in numbers for number in failing) else None
    )

    async def go() -> tuple[Verdict, float]:
        shared = pollers()
        others = [asyncio.create_task(wait_for(account, number, shared, poke=5)) for number in (*healthy, *failing)]
        await asyncio.sleep(100)
        verdict = await wait_for(account, "missing", shared)
        await end(*others)
        return verdict

    verdict, at = run(go())
    assert verdict.result is WaitResult.FAILED
    assert at <= START + 100 + 30, "two calls of the retry queue, each after five polls"


@pytest.mark.parametrize("outage", [500.0, 1000.0, 2000.0, 3000.0, 5000.0])
def test_a_shipment_that_is_held_after_failures_is_checked_once_more_at_the_deadline(
    account: Account, run: Run[Any], outage: float
) -> None:
    account.parcels |= {key(1): "delivered", key(2): "transit"}
    account.elsewhere = 10**9
    fails_between(account, 1, START, START + outage)

    async def go() -> tuple[Verdict, float]:
        shared = pollers()
        other = asyncio.create_task(wait_for(account, 2, shared, poke=1))
        verdict = await wait_for(account, 1, shared, deadline=START + outage)
        await end(other)
        return verdict

    verdict, at = run(go())
    assert verdict.result is WaitResult.RELEASED
    assert at <= START + outage + LAST_CHECK_SECONDS


@pytest.mark.parametrize("outage", [500.0, 1000.0, 2000.0, 3000.0, 5000.0])
def test_an_account_that_backs_off_makes_the_last_check_at_the_deadline(
    account: Account, run: Run[Any], outage: float
) -> None:
    account.parcels |= {key(1): "delivered"}
    fails_between(account, None, START, START + outage)
    verdict, at = run(_alone(account, START + outage))
    assert verdict.result is WaitResult.RELEASED
    assert at <= START + outage + LAST_CHECK_SECONDS


def test_shipments_that_are_confirmed_at_a_deadline_do_not_wait_for_the_checks_of_others(
    account: Account, run: Run[Any]
) -> None:
    """The lists omit the delivered shipments, and the checks of other waits take every slot."""
    hidden = [f"hidden{number}" for number in range(12)]
    account.parcels |= dict.fromkeys([key(number) for number in hidden], "delivered")
    account.parcels |= dict.fromkeys([key(number) for number in range(120)], "transit")
    account.unlisted = {f"N{number}" for number in hidden}
    account.latency = 1.0

    async def go() -> list[tuple[Verdict, float]]:
        shared = pollers()
        others = [asyncio.create_task(wait_for(account, number, shared, poke=1, reconcile=1)) for number in range(120)]
        deadline = START + 100
        verdicts = [wait_for(account, number, shared, deadline=deadline, first=deadline + 60) for number in hidden]
        found = await asyncio.gather(*verdicts)
        await end(*others)
        return found

    found = run(go())
    assert {verdict.result for verdict, _ in found} == {WaitResult.RELEASED}
    assert max(at for _, at in found) <= START + 100 + LAST_CHECK_SECONDS


async def _alone(account: Account, deadline: float) -> tuple[Verdict, float]:
    return await wait_for(account, 1, pollers(), deadline=deadline)


def test_many_deadlines_do_not_end_the_back_off(account: Account, run: Run[Any]) -> None:
    fails_between(account, None, START, START + 10_000)

    async def go() -> None:
        shared = pollers()
        await asyncio.gather(
            *(wait_for(account, number, shared, deadline=START + 2000 + number) for number in range(400))
        )

    run(go())
    during = [at for at, _ in account.calls if START + 2000 <= at <= START + 2400]
    assert len(during) <= 3 * (400 / 5) + 10, "three calls every five seconds at most"


def test_a_deadline_does_not_shorten_the_cool_down_after_a_429(account: Account, run: Run[Any]) -> None:
    account.parcels |= {key(1): "transit"}

    def fault(numbers: list[str]) -> Exception | None:
        return RateLimitError("429", retry_after=120.0) if now() >= START + 100 else None

    account.fault = fault
    verdict, at = run(_alone(account, START + 200))
    assert verdict.result is WaitResult.TIMED_OUT
    assert START + 200 <= at <= START + 200 + LAST_CHECK_SECONDS
    (cool_down_began,) = [moment for moment, _ in account.calls if moment >= START + 100]
    assert cool_down_began < START + 200


def test_a_key_that_is_rotated_at_the_deadline_does_not_give_the_last_check_more_time(
    account: Account, run: Run[Any]
) -> None:
    renewed = Account("fedcba9876543210")
    renewed.latency = 1_000.0
    account.parcels |= {key(1): "transit"}
    account.fault = lambda numbers: AuthenticationError("4002", from_api=True) if now() > START + 100 else None
    connections = [account, renewed]
    shipment = {"carrier_code": "usps", "tracking_number": "N1"}
    spec = WaitSpec.create(shipments=shipment, poke_interval=1000, deadline=START + 200, first_check_at=0)

    async def connect() -> Account:
        return connections.pop(0)

    async def go() -> tuple[Verdict, float]:
        return await run_wait(spec, connect, pollers=pollers(), clock=now), now()

    verdict, at = run(go())
    assert verdict.result is WaitResult.TIMED_OUT
    assert at <= START + 200 + LAST_CHECK_SECONDS + 0.1


def test_a_client_that_is_not_used_because_its_key_was_refused_is_closed(account: Account, run: Run[Any]) -> None:
    again = Account(account.account)
    connections = [account, again]
    account.fault = lambda numbers: AuthenticationError("4002", from_api=True)
    spec = WaitSpec.create(shipments={"carrier_code": "usps", "tracking_number": "N1"}, first_check_at=0)

    async def connect() -> Account:
        return connections.pop(0)

    with pytest.raises(AuthenticationError):
        run(run_wait(spec, connect))
    assert (account.closed, again.closed, again.calls) == (1, 1, [])


def test_a_wait_that_joins_after_a_bug_is_served_although_another_has_not_left_yet(
    account: Account, run: Run[Any]
) -> None:
    account.parcels |= {key(1): "transit", key(2): "transit"}
    account.failures = [ZeroDivisionError("a bug")]

    async def go() -> None:
        async with Subscriber(account, [key(1)], 60, first_check_in=0.0) as first:
            with pytest.raises(TrackingMoreError, match="the poller failed"):
                await first.updates()
            async with Subscriber(account, [key(2)], 60, first_check_in=0.0) as second:
                assert await second.updates(60.0) is not None

    run(go())


def test_lists_that_left_shipments_out_for_a_minute_are_used_again(account: Account, run: Run[Any]) -> None:
    account.parcels |= {key(number): "transit" for number in range(40)}
    account.unlisted = {f"N{number}" for number in range(40)}

    async def go() -> None:
        shared = pollers()
        waits = [asyncio.create_task(wait_for(account, number, shared)) for number in range(40)]
        await asyncio.sleep(60)
        account.unlisted = set()
        await asyncio.sleep(540)
        before = len(account.calls)
        await asyncio.sleep(3600)
        assert len(account.calls) - before <= 65
        await end(*waits)

    run(go())
