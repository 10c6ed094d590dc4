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

TravelTime = Callable[[], float]


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
    :param served: requests that were admitted.
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


def share_slot_clock(clock: Clock, callers: int) -> list[LimiterLike]:
    """Create limiters of callers that share this package's slot clock."""
    store = MemoryStore()
    return [RateLimiter(store, interval=1.0, clock=clock) for _ in range(callers)]


def share_departures(clock: Clock, callers: int) -> list[LimiterLike]:
    """Create limiters of callers that share a clock of departures."""
    return [Departures(clock)] * callers


def simulate(
    limiters: Callable[[Clock, int], list[LimiterLike]],
    outbound: TravelTime,
    inbound: TravelTime,
    *,
    callers: int = 8,
    seconds: float = 3600,
) -> Outcome:
    """Let callers send as fast as they may to an account that allows one request a second.

    :param limiters: creates one limiter for each caller.
    :param outbound: how long a request travels.
    :param inbound: how long an answer takes.
    """
    clock, limit = Clock(), RateLimit()
    shared_limiters = limiters(clock, callers)
    order = itertools.count()
    events: list[tuple[float, int, Callable[[], None]]] = []
    arrivals: list[float] = []
    served = 0

    def schedule(due: float, action: Callable[[], None]) -> None:
        heapq.heappush(events, (due, next(order), action))

    def try_to_send(limiter: LimiterLike, rounds: int = 0) -> None:
        outcome = limiter.try_acquire(warm=True)
        if isinstance(outcome, SlotBusy):
            schedule(clock.now + limiter.pause(outcome, rounds), lambda: try_to_send(limiter, rounds + 1))
        else:
            schedule(clock.now + outbound(), lambda: arrive(limiter, outcome))

    def arrive(limiter: LimiterLike, departure: Departure) -> None:
        nonlocal served
        arrivals.append(clock.now)
        is_admitted = limit.admit(clock.now, clock.now)
        served += is_admitted
        schedule(clock.now + inbound(), lambda: respond(limiter, departure, is_admitted))

    def respond(limiter: LimiterLike, departure: Departure, is_admitted: bool) -> None:
        limiter.release(departure, warm=True)
        if not is_admitted:
            limiter.penalize(COOL_DOWN_SECONDS)
        try_to_send(limiter)

    for limiter in shared_limiters:
        schedule(START + random.random(), lambda limiter=limiter: try_to_send(limiter))  # type: ignore[misc]
    while events and events[0][0] < START + seconds:
        clock.now, _, action = heapq.heappop(events)
        action()
    gaps = [after - before for before, after in itertools.pairwise(arrivals)]
    return Outcome(int(seconds), served, len(arrivals) - served, min(gaps, default=0.0))
