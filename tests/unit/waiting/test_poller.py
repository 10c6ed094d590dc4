"""The poller serves many waits with few calls: on virtual time, against an account in memory."""

from __future__ import annotations

import asyncio
import itertools
import math
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
from airflow_provider_trackingmore.client.observer import Gauge, Observer, Timing
from airflow_provider_trackingmore.waiting import cooperative, failures, schedule
from airflow_provider_trackingmore.waiting.observation import NOT_REGISTERED, Observation
from airflow_provider_trackingmore.waiting.poller import Poller
from airflow_provider_trackingmore.waiting.pollers import pollers_of_running_loop
from tests.unit.waiting.conftest import Account, Subscriber, VirtualTimeLoop

T = TypeVar("T")
Updates = dict[ShipmentKey, Observation]
Run = Callable[[Coroutine[Any, Any, T]], T]


def key(number: object) -> ShipmentKey:
    return ShipmentKey("usps", f"N{number}")


def keys(*numbers: object) -> list[ShipmentKey]:
    return [key(number) for number in numbers]


def poller_of(account: Account) -> Poller:
    return pollers_of_running_loop().get(account)


async def checks(account: Account, wanted: list[ShipmentKey], times: int, interval: float = 60) -> list[Updates]:
    """Wait for a number of checks, whether or not anything has changed."""
    found = []
    async with Subscriber(account, wanted, interval) as subscriber:
        subscriber.keep(wanted, settling=True)
        for _ in range(times):
            updates = await subscriber.updates()
            assert updates is not None
            found.append(updates)
    return found


def register(account: Account, *numbers: object, status: str = "transit") -> None:
    account.parcels |= dict.fromkeys(keys(*numbers), status)


def test_subscribing_normalizes_no_key_again(account: Account, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {key(number).normalized: key(number) for number in range(1_000)}
    normalized: list[ShipmentKey] = []

    async def subscribe() -> None:
        with await poller_of(account).subscribe(wanted, poke_interval=60, reconcile_seconds=1800):
            pass

    monkeypatch.setattr(ShipmentKey, "normalized", property(lambda key: normalized.append(key)))
    run(subscribe())
    assert not normalized


@pytest.mark.parametrize("subscribers", [1, 40, 41, 100, 1000])
def test_any_number_of_subscribers_costs_one_call_per_forty_shipments(
    account: Account, run: Run, subscribers: int
) -> None:
    register(account, *range(subscribers))

    async def wait() -> None:
        found = await asyncio.gather(*(checks(account, keys(number), 3) for number in range(subscribers)))
        assert all(set(updates) == {key(number)} for number, seen in enumerate(found) for updates in seen)

    run(wait())
    requested = [numbers for numbers in account.requested if numbers != ["list 1"]]
    assert len(requested) <= 3 * math.ceil(subscribers / 40)
    assert len(account.calls) - len(requested) == (1 if subscribers > 80 else 0), "one call for the length of the list"


def test_shipments_that_several_subscribers_wait_for_are_requested_once(account: Account, run: Run) -> None:
    register(account, *range(40))

    async def wait() -> None:
        await asyncio.gather(*(checks(account, keys(*range(40)), 2) for _ in range(25)))

    run(wait())
    assert len(account.calls) == 2
    assert all(sorted(set(numbers)) == sorted(numbers) for _, numbers in account.calls)


def test_subscribers_receive_updates_of_their_own_shipments_only(account: Account, run: Run) -> None:
    register(account, 1, 2, 3)
    seen = run(_together(checks(account, keys(1, 2), 1), checks(account, keys(3), 1)))
    assert [set(news[0]) for news in seen] == [set(keys(1, 2)), set(keys(3))]


async def _together(*coroutines: Coroutine[Any, Any, T]) -> list[T]:
    return await asyncio.gather(*coroutines)


def test_only_its_own_subscriber_learns_that_a_shipment_is_not_registered(account: Account, run: Run) -> None:
    register(account, 1)
    missing, registered = run(_together(checks(account, keys(404), 1), checks(account, keys(1), 1)))
    assert list(missing[0].values()) == [NOT_REGISTERED]
    assert registered[0][key(1)].status == "transit"


@pytest.mark.parametrize("intervals", [(10, 33, 60, 100, 77), (8.1, 0.7, 0.3, 1.1)], ids=str)
def test_every_subscriber_gets_updates_at_its_own_interval(
    account: Account, run: Run, intervals: tuple[float, ...]
) -> None:
    register(account, *intervals)
    account.latency = 0.0
    long = 36 * max(intervals)

    async def wait() -> None:
        async def subscriber(interval: float) -> None:
            begun = asyncio.get_running_loop().time()
            async with Subscriber(account, keys(interval), interval) as own:
                own.keep(keys(interval), settling=True)
                while asyncio.get_running_loop().time() < begun + long:
                    await own.updates()

        await asyncio.gather(*map(subscriber, intervals))

    run(wait())
    for interval in intervals:
        times = account.times(f"N{interval}")
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert max(gaps) <= interval * (1 + 2 * schedule.JOIN_EARLY)
    assert len(account.calls) <= long / min(intervals) + 2, "the others fill up the calls for the shortest"


def test_subscribers_with_the_same_interval_share_their_calls_whenever_they_join(account: Account, run: Run) -> None:
    register(account, *range(10))

    async def late(number: int) -> None:
        await asyncio.sleep(7 * number)
        await checks(account, keys(number), 5, interval=100)

    run(_together(*map(late, range(10))))
    assert len(account.calls) == 5


def test_a_subscriber_that_joins_during_a_poll_is_served_by_the_next_one(account: Account, run: Run) -> None:
    register(account, 1, 2)
    account.latency = 30.0

    async def late() -> list[Updates]:
        await asyncio.sleep(70)  # the first round began at 60
        return await checks(account, keys(2), 1)

    run(_together(checks(account, keys(1), 2), late()))
    assert account.requested == [["N1"], ["N1", "N2"]]


def test_a_subscriber_with_a_short_interval_does_not_wait_for_those_with_a_long_one(account: Account, run: Run) -> None:
    register(account, 1, 2)

    async def late() -> float:
        await asyncio.sleep(100)
        await checks(account, keys(2), 1, interval=5)
        return asyncio.get_running_loop().time()

    async def wait() -> float:
        begun = asyncio.get_running_loop().time()
        _, end = await asyncio.gather(checks(account, keys(1), 1, interval=3600), late())
        return end - begun

    assert run(wait()) <= 106


def test_a_subscriber_may_drop_shipments_as_they_arrive(account: Account, run: Run) -> None:
    register(account, 1, 2)

    async def wait() -> None:
        async with Subscriber(account, keys(1, 2), 60) as subscriber:
            await subscriber.updates()
            subscriber.keep(keys(2), settling=True)
            assert set(await subscriber.updates() or ()) == {key(2)}

    run(wait())
    assert account.requested == [["N1", "N2"], ["N2"]]


def test_the_event_loop_runs_other_tasks_while_a_thousand_subscribers_get_updates(account: Account, run: Run) -> None:
    register(account, *range(1000))
    account.latency = 0.0
    received_in: list[int] = []
    iteration = 0

    async def subscriber(number: int) -> None:
        await checks(account, keys(number), 1)
        received_in.append(iteration)

    async def wait() -> None:
        nonlocal iteration
        everybody = asyncio.gather(*map(subscriber, range(1000)))
        await account.was_called.wait()
        while not everybody.done():
            iteration += 1
            await asyncio.sleep(0)

    run(wait())
    assert max(received_in.count(iteration) for iteration in set(received_in)) <= 2 * cooperative.ITEMS_PER_SLICE


def test_waiting_for_updates_ends_after_the_timeout(account: Account, run: Run) -> None:
    register(account, 1)

    async def wait() -> float:
        begun = asyncio.get_running_loop().time()
        async with Subscriber(account, keys(1), 3600) as subscriber:
            assert await subscriber.updates(90.0) is None
            assert await subscriber.updates(0.0) is None
        return asyncio.get_running_loop().time() - begun

    assert run(wait()) == pytest.approx(90)
    assert account.calls == []


# Failures ------------------------------------------------------------------------------------------------------------


def test_transient_failures_do_not_end_a_wait_and_are_logged_ever_more_rarely(
    account: Account, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    register(account, 1)
    account.failures = [ServiceUnavailableError("503 again") for _ in range(20)]
    news = run(checks(account, keys(1), 1))
    assert key(1) in news[0]
    assert caplog.text.count("retrying in") == 5, "the 1st, 2nd, 4th, 8th and 16th"
    assert len(account.calls) == 21
    gaps = [after[0] - before[0] for before, after in itertools.pairwise(account.calls)]
    assert max(gaps) <= failures.MAX_BACK_OFF + 60 + 1


def test_a_failed_call_is_logged_with_its_first_shipments(
    account: Account, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    register(account, *range(5))
    account.failures = [ServiceUnavailableError("503 again")]
    run(checks(account, keys(*range(5)), 1))
    (line,) = [record.getMessage() for record in caplog.records if "retrying in" in record.getMessage()]
    assert line.startswith("Check of 5 shipments failed, retrying in ")
    assert line.endswith(f"503 again ({key(0)}, {key(1)}, {key(2)}, and 2 more)")


def test_failures_are_counted_anew_after_a_success(
    account: Account, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    register(account, 1)

    async def wait() -> None:
        async with Subscriber(account, keys(1), 60) as subscriber:
            subscriber.keep(keys(1), settling=True)
            for _ in range(3):
                account.failures = [ServiceUnavailableError("busy")]
                await subscriber.updates()

    run(wait())
    assert caplog.text.count("retrying in") == 3


def test_the_back_off_grows_and_respects_the_servers_retry_after(account: Account, run: Run) -> None:
    register(account, 1)
    account.failures = [RateLimitError("429", retry_after=500.0), *[ServiceUnavailableError("503")] * 9]
    run(checks(account, keys(1), 1, interval=1))
    gaps = [after[0] - before[0] for before, after in itertools.pairwise(account.calls)]
    assert gaps[0] >= 500
    assert all(gap <= failures.MAX_BACK_OFF + 1 for gap in gaps[1:])
    assert gaps[-1] >= failures.MAX_BACK_OFF / 2


def test_a_failed_check_is_retried_soon_and_not_an_interval_later(account: Account, run: Run) -> None:
    register(account, 1)
    account.failures = [ServiceUnavailableError("503")]
    run(checks(account, keys(1), 2, interval=1800))
    first, again, next_turn = (at for at, _ in account.calls)
    assert failures.FIRST_BACK_OFF / 2 <= again - first <= failures.FIRST_BACK_OFF
    assert next_turn - again == pytest.approx(1800, abs=1)


def test_a_wrong_key_ends_every_wait_with_one_clear_reason(account: Account, run: Run) -> None:
    refusal = AuthenticationError("the key is not accepted: check the password field", code=4001, from_api=True)
    account.failures = [refusal, refusal]

    async def subscriber(number: int, interval: float) -> str:
        async with Subscriber(account, keys(number), interval) as own:
            with pytest.raises(TrackingMoreError) as caught:
                await own.updates()
        return caught.value.message

    said = run(_together(*(subscriber(number, 60 * number) for number in range(1, 60))))
    assert set(said) == {"the key is not accepted: check the password field"}
    assert len(account.calls) == 2, "only a refusal that is confirmed is final"
    assert account.closed >= 1


def test_after_a_wrong_key_a_new_subscriber_causes_a_new_attempt(account: Account, run: Run) -> None:
    account.failures = [AuthenticationError("no", from_api=True)] * 2
    register(account, 2)

    async def wait() -> list[Updates]:
        async with Subscriber(account, keys(1), 60) as ended:
            with pytest.raises(AuthenticationError):
                await ended.updates()
            return await checks(account, keys(2), 1)

    assert key(2) in run(wait())[0]


def test_a_bug_ends_the_waits_with_a_reason_instead_of_leaving_them_for_ever(
    account: Account, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    account.failures = [ZeroDivisionError("0123 secret details")]

    async def wait() -> None:
        async with Subscriber(account, keys(1), 60) as subscriber:
            await subscriber.updates()

    with pytest.raises(TrackingMoreError, match=r"^the poller failed: ZeroDivisionError$"):
        run(wait())
    assert f"The poller of account {account.account} failed" in caplog.text


def test_one_refused_shipment_costs_the_others_nothing(account: Account, run: Run) -> None:
    """The vendor may refuse a whole call because of one number: the call is halved until that number is alone."""
    register(account, *range(8))
    del account.parcels[key(5)]
    account.refuses = "N5"
    seen = run(_together(*(checks(account, keys(number), 1) for number in range(8))))
    for number, (news,) in enumerate(seen):
        assert (news[key(number)] == NOT_REGISTERED) == (number == 5)
    assert len(account.calls) <= 2 * 3 + 3, "halved, not requested one by one"


# Coming and going ----------------------------------------------------------------------------------------------------


def test_a_cancelled_subscriber_leaves_and_the_others_continue(account: Account, run: Run) -> None:
    register(account, 1, 2)

    async def wait() -> None:
        cancelled = asyncio.create_task(checks(account, keys(1), 99))
        staying = asyncio.create_task(checks(account, keys(2), 3))
        await asyncio.sleep(61)
        cancelled.cancel()
        await staying
        assert cancelled.cancelled()

    run(wait())
    assert account.requested == [["N1", "N2"], ["N2"], ["N2"]]


def test_the_loop_ends_and_the_client_is_closed_when_the_last_subscriber_leaves(account: Account, run: Run) -> None:
    register(account, 1)

    async def wait() -> None:
        await checks(account, keys(1), 1)
        assert account.closed == 1
        await asyncio.sleep(3600)

    run(wait())
    assert len(account.calls) == 1, "nothing is requested any more"


def test_leaving_in_the_middle_of_a_call_ends_the_loop_too(account: Account, run: Run) -> None:
    register(account, 1)
    account.latency = 30.0

    async def wait() -> None:
        async with Subscriber(account, keys(1), 60) as subscriber:
            assert await subscriber.updates(75.0) is None
        assert account.closed == 1

    run(wait())
    assert len(account.calls) == 1


def test_a_poller_that_has_ended_is_followed_by_a_new_one(account: Account, run: Run) -> None:
    register(account, 1)
    other = Account()
    register(other, 1)

    async def wait() -> None:
        async with Subscriber(account, keys(1), 60):
            first = poller_of(account)
        await checks(account, keys(1), 1)
        await checks(other, keys(1), 1)
        assert poller_of(other) is not first
        async with Subscriber(other, keys(1), 60):
            pass

    run(wait())
    assert len(account.calls) == len(other.calls) == 1


def test_waits_of_one_account_share_a_poller_and_the_spare_clients_are_closed(account: Account, run: Run) -> None:
    spare, somebody_elses = Account(), Account("fedcba9876543210")

    async def wait() -> None:
        async with Subscriber(account, keys(1), 60):
            assert poller_of(spare) is poller_of(account)
            assert spare.closed >= 1
            async with Subscriber(somebody_elses, keys(1), 60):
                assert poller_of(somebody_elses) is not poller_of(account)
                assert somebody_elses.closed == 0

    run(wait())
    assert account.closed == somebody_elses.closed == 1


def test_two_event_loops_have_two_pollers(account: Account) -> None:
    async def poller_here() -> Poller:
        async with Subscriber(account, keys(1), 60):
            return poller_of(account)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as one, asyncio.Runner(loop_factory=VirtualTimeLoop) as two:
        assert one.run(poller_here()) is not two.run(poller_here())


def test_unsubscribing_twice_does_no_harm(account: Account, run: Run) -> None:
    async def wait() -> None:
        async with Subscriber(account, keys(1), 60) as subscriber:
            pass
        subscriber.keep(())
        subscriber.subscription.close()

    run(wait())
    assert account.closed == 1


class Recorder(Observer):
    """Stores the metrics."""

    def __init__(self) -> None:
        self.gauges: list[tuple[str, float]] = []
        self.timings: list[tuple[str, float]] = []

    def gauge(self, name: Gauge, value: float) -> None:
        self.gauges.append((name, value))

    def timing(self, name: Timing, seconds: float) -> None:
        self.timings.append((name, seconds))

    def of(self, name: Gauge) -> list[float]:
        return [value for reported, value in self.gauges if reported == name]


def test_the_metrics_say_how_many_waits_are_open_and_how_late_the_checks_are(run: Run) -> None:
    one, other, recorder = Account(), Account("fedcba9876543210"), Recorder()
    register(one, 1, 2)
    register(other, 1)

    async def three_waits() -> None:
        pollers_of_running_loop(recorder)
        async with Subscriber(one, keys(1), 60) as first, Subscriber(one, keys(2), 90), Subscriber(other, keys(1), 60):
            await first.updates()

    run(three_waits())

    assert recorder.of("waits.open") == [1, 2, 3, 2, 1, 0]
    assert {name for name, _ in recorder.timings} == {"waits.late"}
    assert all(0 <= seconds < 0.1 for _, seconds in recorder.timings)


def test_the_metrics_count_polls_that_fail_in_a_row(account: Account, run: Run) -> None:
    recorder = Recorder()
    register(account, *range(200))
    account.failures = [ServiceUnavailableError("busy"), ServiceUnavailableError("busy")]

    async def wait() -> None:
        pollers_of_running_loop(recorder)
        await checks(account, keys(*range(200)), times=1)

    run(wait())

    assert recorder.of("waits.failed_polls") == [0, 1, 2, 0]


def test_a_wait_that_joins_while_a_missing_shipment_is_confirmed_does_not_get_the_older_response(
    account: Account, run: Run
) -> None:
    """It may have registered the shipment after the call was sent."""
    account.latency = 10.0

    async def early() -> Updates | None:
        async with Subscriber(account, keys(1), 60, first_check_in=0.0) as subscriber:
            return await subscriber.updates()

    async def late() -> Updates | None:
        await asyncio.sleep(15)  # the call by number took from 2 to 12, the confirmation takes until 22
        register(account, 1)
        async with Subscriber(account, keys(1), 60, first_check_in=0.0) as subscriber:
            return await subscriber.updates()

    first, second = run(_together(early(), late()))
    assert first == {key(1): NOT_REGISTERED}
    assert second is not None
    assert second[key(1)].status == "transit"
