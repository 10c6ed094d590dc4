"""Callers and a server's rate limit on one simulated clock: an hour in a second."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_trackingmore.client.rate_limit.clock import Departure, RateLimiter, SlotBusy
from airflow_provider_trackingmore.client.rate_limit.stores import MemoryStore
from airflow_provider_trackingmore.sandbox.limits import COOL_DOWN_SECONDS, RateLimit

START = 1_800_000_000.0

Trip = Callable[[], float]


class LimiterLike(Protocol):
    """The methods of a rate limiter that a caller uses."""

    def try_acquire(self, *, warm: bool) -> Departure | SlotBusy: ...

    def release(self, departure: Departure, *, warm: bool) -> None: ...

    def penalize(self, seconds: float) -> None: ...

    def pause(self, wait: SlotBusy, rounds: int) -> float: ...


class Clock:
    """A clock that shows the time it is set to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Departures:
    """Paces by departure alone, as programs do today: each request departs an interval after the previous one."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.next = 0.0

    def try_acquire(self, *, warm: bool) -> Departure | SlotBusy:
        if self.next > self.clock():
            return SlotBusy(self.next - self.clock())
        self.next = self.clock() + 1.0
        return Departure("departed", self.clock(), 0.0)

    def release(self, departure: Departure, *, warm: bool) -> None:
        pass

    def penalize(self, seconds: float) -> None:
        self.next = max(self.next, self.clock() + seconds)

    def pause(self, wait: SlotBusy, rounds: int) -> float:
        return wait.seconds


@dataclass
class Outcome:
    """What the server counted.

    :param slots: the number of slots in the simulated time.
    :param served: requests that were let through.
    :param refused: requests that were answered 429.
    :param smallest_gap: between two arrivals, seconds.
    """

    slots: int
    served: int
    refused: int
    smallest_gap: float

    @property
    def used(self) -> float:
        """Share of the slots."""
        return self.served / self.slots


def ours(clock: Clock, callers: int) -> list[LimiterLike]:
    """Make callers that share this package's slot clock."""
    store = MemoryStore()
    return [RateLimiter(store, interval=1.0, clock=clock) for _ in range(callers)]


def by_departure(clock: Clock, callers: int) -> list[LimiterLike]:
    """Make callers that share a clock of departures."""
    return [Departures(clock)] * callers


def simulate(
    limiters: Callable[[Clock, int], list[LimiterLike]],
    there: Trip,
    back: Trip,
    *,
    callers: int = 8,
    seconds: float = 3600,
) -> Outcome:
    """Let callers send as fast as they may to an account that allows one request a second.

    :param limiters: makes one limiter for each caller.
    :param there: how long a request travels.
    :param back: how long an answer takes.
    """
    clock, limit = Clock(), RateLimit()
    asking = limiters(clock, callers)
    order = itertools.count()
    events: list[tuple[float, int, Callable[[], None]]] = []
    arrivals: list[float] = []
    served = 0

    def at(moment: float, what: Callable[[], None]) -> None:
        heapq.heappush(events, (moment, next(order), what))

    def ask(limiter: LimiterLike, rounds: int = 0) -> None:
        outcome = limiter.try_acquire(warm=True)
        if isinstance(outcome, SlotBusy):
            at(clock.now + limiter.pause(outcome, rounds), lambda: ask(limiter, rounds + 1))
        else:
            at(clock.now + there(), lambda: arrive(limiter, outcome))

    def arrive(limiter: LimiterLike, departure: Departure) -> None:
        nonlocal served
        arrivals.append(clock.now)
        passed = limit.admit(clock.now, clock.now)
        served += passed
        at(clock.now + back(), lambda: answer(limiter, departure, passed))

    def answer(limiter: LimiterLike, departure: Departure, passed: bool) -> None:
        limiter.release(departure, warm=True)
        if not passed:
            limiter.penalize(COOL_DOWN_SECONDS)
        ask(limiter)

    for limiter in asking:
        at(START + random.random(), lambda limiter=limiter: ask(limiter))  # type: ignore[misc]
    while events and events[0][0] < START + seconds:
        clock.now, _, what = heapq.heappop(events)
        what()
    gaps = [after - before for before, after in itertools.pairwise(arrivals)]
    return Outcome(int(seconds), served, len(arrivals) - served, min(gaps, default=0.0))
