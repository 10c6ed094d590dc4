"""Decides when the next request of an account may be sent: one slot clock per account, shared through a store.

The server counts *arrivals*. A second arrival within the interval is answered with 429, and the whole account is then
blocked for two minutes. So it is not enough to space departures: if two requests depart 1.000 s apart and the second
one travels 10 ms faster, they arrive 0.990 s apart. All that is certain is that a request arrives after its departure
and before the first byte of its response is received. Hence these rules:

- A departure sets ``next_free_at`` to ``now + interval + grace``: the request has ``grace`` seconds to arrive before
  the next one may follow.
- The first byte of the response resets ``next_free_at`` to ``now + interval``, if that is earlier. The next request
  then departs, and so arrives, at least one interval after this arrival. This costs one round trip per request.
- Only a response proves an arrival: if the request fails, the first rule stands.

If all round trips are long but similar, the second rule wastes time. A caller that has measured its own round trips
(see :mod:`.rtt`) knows their minimum: half of it passed after the arrival, while the response travelled back, and
half of it will pass before the next request arrives. The caller subtracts both halves. Still, no request departs
within ``interval`` of the previous departure.

If a 429 is received all the same, a ``margin`` is added to every gap. It doubles with each further 429 and shrinks
slowly with every response.

The first two rules require that a request is sent as soon as it has its slot. A slow connection or a suspended
process can delay it. So the client calls :meth:`RateLimiter.is_late` right before it sends, and acquires another slot
if more than half of the grace has passed.

A slot is acquired at the moment of departure. There is no queue and there are no reservations, so a waiter that is
killed blocks nobody, and a cool-down that begins while others wait applies to all of them. To keep this fair, a
waiter wakes up earlier within the slot the more often it has come too late, and a request that has not waited yet
leaves the first moments of a slot to those that have. Otherwise a process that polls once per interval could ask each
time just when the slot becomes free, and the other processes would hardly get any.

The clock is read while the store is locked. A state with a time in the future therefore means that the clock was set
back.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from airflow_provider_trackingmore.api.errors import RateLimitLockedError
from airflow_provider_trackingmore.client.rate_limit.rtt import RoundTripTimes
from airflow_provider_trackingmore.client.settings import MAX_COOL_DOWN_SECONDS

log = logging.getLogger(__name__)

R = TypeVar("R")

LOCK_TIMEOUT_SECONDS = 10.0
"""How long a caller waits for a lock. Usually a lock is held for less than a millisecond."""
WARM_GRACE_SECONDS = 0.5
"""Time that a request has to arrive over an open connection."""
COLD_GRACE_SECONDS = 1.5
"""The same for a new connection: DNS, TCP and TLS take several round trips before the request is sent."""
SPREAD = 0.01
"""Share of an interval over which waiters are spread, so that they do not all wake up at once."""
RECHECK_SHARE = 0.05
"""Share of an interval after which a waiter checks whether the request before it has been answered."""
FIRST_MARGIN = 0.02
"""Share of an interval that the first 429 adds to every gap. Each further 429 doubles it."""
LARGEST_MARGIN = 0.5
SMALLEST_MARGIN = 0.001
"""Shares of an interval. A margin below the smallest one is dropped."""
MARGIN_KEPT = 0.5 ** (1 / 600)
"""Factor by which each response reduces the margin: by half after 600 responses (ten minutes at 1/s)."""


@dataclass(frozen=True, slots=True)
class SlotState:
    """The state that all callers of an account share. Times are seconds of the shared clock.

    :param next_free_at: when the next request may depart. A caller may subtract its own minimum travel time.
    :param earliest_at: when the next request may depart at the earliest, however short the caller's travel time is.
    :param departure: the id of the latest request, as long as it has not been answered; empty otherwise.
    :param written_at: when this state was written.
    :param margin: seconds that earlier 429s add to every gap.
    """

    next_free_at: float = 0.0
    earliest_at: float = 0.0
    departure: str = ""
    written_at: float = 0.0
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class SlotBusy:
    """The slot is not free.

    :param seconds: seconds until the next attempt is worthwhile.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Departure:
    """A slot that was acquired.

    :param id: a unique id.
    :param at: when it was acquired, by the clock of the caller's :class:`RateLimiter`.
    :param grace: seconds that the request has to arrive before the next one may leave, in addition to the interval.
    """

    id: str
    at: float
    grace: float


Change = Callable[[SlotState, float], tuple[SlotState | None, R]]
"""Receives the state and the time; returns the new state (None if it is unchanged) and a result."""


class SlotStore(Protocol):
    """Storage for a :class:`SlotState`."""

    is_available: bool
    """False while a server that keeps it cannot be reached, and something else replaces it."""

    def update(self, change: Change[R], clock: Callable[[], float], *, timeout: float = LOCK_TIMEOUT_SECONDS) -> R:
        """Read, change and write the state atomically.

        :param change: computes the new state. It must be fast and free of side effects, since it may be called twice.
        :param clock: read while the state is locked. A store with a clock of its own passes the time of that clock to
            ``change``, and reads this one first.
        :param timeout: how long to wait for the lock, in seconds.
        :return: the result of ``change``.
        :raises RateLimitLockedError: if another process holds the lock for longer.
        """
        ...


def try_acquire(
    state: SlotState,
    now: float,
    *,
    interval: float,
    grace: float,
    departure: str,
    ahead: float = 0.0,
    replaces: str = "",
    has_waited: bool = True,
) -> SlotState | SlotBusy:
    """Acquire the slot, if it is free.

    :param state: the current state.
    :param now: the time, in seconds.
    :param interval: seconds between two arrivals.
    :param grace: seconds that the request has to arrive.
    :param departure: a new id for the request.
    :param ahead: the minimum travel time of this request, in seconds.
    :param replaces: the id of an earlier departure of the same request, which was not sent. The slot is free if no
        other request has departed since.
    :param has_waited: whether the request has found the slot busy before. If not, it leaves the first moments of a slot
        to those that have.
    :return: the new state, or how long to wait. The wait is short while another request is unanswered, since its
        response can free the slot earlier.
    """
    free_at = state.next_free_at if state.departure else max(state.earliest_at, state.next_free_at - ahead)
    seconds = free_at - now
    if seconds > 0 and not (replaces and state.departure == replaces):
        if state.departure:
            seconds = min(seconds, max(state.earliest_at - now, interval * RECHECK_SHARE))
        return SlotBusy(seconds)
    if not has_waited and -seconds < min(interval, 1.0) * SPREAD:
        return SlotBusy(0.0)
    earliest_at = now + interval + _margin(state, interval)
    return replace(
        state, next_free_at=earliest_at + grace, earliest_at=earliest_at, departure=departure, written_at=now
    )


def release(state: SlotState, now: float, *, interval: float, departure: str, behind: float = 0.0) -> SlotState | None:
    """Record that a request has been answered, and so has arrived.

    :param state: the current state.
    :param now: the time, in seconds.
    :param interval: seconds between two arrivals.
    :param departure: the id of the request.
    :param behind: the minimum travel time of its response, in seconds.
    :return: the new state; None if nothing changes: another request has departed since, or the account cools down.
    """
    if state.departure != departure:
        return None
    margin = _margin(state, interval)
    free_at = min(state.next_free_at, max(state.earliest_at, now - behind + interval + margin))
    narrowed = margin * MARGIN_KEPT
    return SlotState(free_at, state.earliest_at, "", now, narrowed if narrowed > SMALLEST_MARGIN * interval else 0.0)


def block_for(state: SlotState, now: float, *, seconds: float) -> SlotState:
    """Block the account for some seconds from now. No response shortens that.

    :param state: the current state.
    :param now: the time, in seconds.
    :param seconds: how long; at most an hour counts.
    :return: the new state.
    """
    until = max(state.next_free_at, now + min(seconds, MAX_COOL_DOWN_SECONDS))
    return SlotState(until, until, "", now, state.margin)


def penalize(state: SlotState, now: float, *, interval: float, seconds: float) -> SlotState:
    """Block the account after a 429, and widen the gaps from then on.

    :param state: the current state.
    :param now: the time, in seconds.
    :param interval: seconds between two arrivals.
    :param seconds: how long the account is blocked.
    :return: the new state.
    """
    margin = max(2 * _margin(state, interval), FIRST_MARGIN * interval)
    if not state.departure and state.next_free_at > now + 2 * interval:
        margin = _margin(state, interval)  # another 429 within the same cool-down is no new evidence
    return replace(block_for(state, now, seconds=seconds), margin=min(margin, LARGEST_MARGIN * interval))


def repair(state: SlotState, now: float) -> SlotState:
    """Repair a state that is damaged, or was written before the clock was set back, so that no wait is too long.

    :param state: the current state.
    :param now: the time, in seconds.
    :return: the same object if there is nothing to repair. A repaired state must be written, or the wait never ends.
    """
    if state.written_at > now:
        back = state.written_at - now
        state = replace(
            state, next_free_at=state.next_free_at - back, earliest_at=state.earliest_at - back, written_at=now
        )
    latest = state.written_at + MAX_COOL_DOWN_SECONDS
    if state.next_free_at > latest:
        state = replace(state, next_free_at=latest)
    return state if state.earliest_at <= state.next_free_at else replace(state, earliest_at=state.next_free_at)


def _margin(state: SlotState, interval: float) -> float:
    return min(max(state.margin, 0.0), LARGEST_MARGIN * interval)


class RateLimiter:
    """The rate limiter of one account, as one caller uses it.

    :param store: holds the shared state.
    :param interval: seconds between two arrivals.
    :param clock: returns seconds; all callers that share the store use the same clock.
    """

    def __init__(self, store: SlotStore, *, interval: float, clock: Callable[[], float]) -> None:
        self._store = store
        self._interval = interval
        self._clock = clock
        self._rtt = RoundTripTimes(interval)

    def try_acquire(
        self,
        *,
        warm: bool,
        timeout: float = LOCK_TIMEOUT_SECONDS,
        replaces: Departure | None = None,
        has_waited: bool = True,
    ) -> Departure | SlotBusy:
        """Acquire the slot, if it is free, for a request that is sent at once.

        :param warm: whether the request uses a connection that is already open.
        :param timeout: how long to wait for the lock, in seconds.
        :param replaces: the departure for which this request was late. The new one gets twice its grace, so that even a
            slow process gets to send.
        :param has_waited: whether the request has found the slot busy before; if not, those that have go first.
        :return: the departure, for :meth:`is_late` and :meth:`release`; or how long to wait.
        :raises RateLimitLockedError: if another process holds the lock for longer; no slot was acquired.
        """
        departure = uuid.uuid4().hex[:12]
        grace = 2 * replaces.grace if replaces else WARM_GRACE_SECONDS if warm else COLD_GRACE_SECONDS
        late = replaces.id if replaces else ""
        ahead = self._rtt.min_rtt / 2
        at = 0.0

        def clock() -> float:
            nonlocal at
            at = self._clock()
            return at

        def decide(state: SlotState, now: float) -> tuple[SlotState | None, SlotBusy | None]:
            acquired = try_acquire(
                state,
                now,
                interval=self._interval,
                grace=grace,
                departure=departure,
                ahead=ahead,
                replaces=late,
                has_waited=has_waited,
            )
            return (None, acquired) if isinstance(acquired, SlotBusy) else (acquired, None)

        return self._update(decide, timeout, clock) or Departure(departure, at, grace)

    def is_late(self, departure: Departure) -> bool:
        """Return whether it is too late to send a request in its slot: the next one could arrive too soon after it.

        :param departure: from :meth:`try_acquire`.
        """
        return self._clock() - departure.at > departure.grace / 2

    @property
    def is_available(self) -> bool:
        """Whether the server that keeps the state answered the last time."""
        return self._store.is_available

    def is_free(self) -> bool:
        """Return whether a request could be sent at once. Acquires nothing and does not wait for a lock."""
        try:
            return self._update(lambda state, now: (None, state.next_free_at <= now), 0.0)
        except RateLimitLockedError:
            return False

    def cool_down_seconds(self) -> float:
        """Return for how long the account is blocked after a 429, in seconds; 0 if it is not. Waits for no lock."""

        def remaining(state: SlotState, now: float) -> tuple[None, float]:
            is_blocked = not state.departure and state.earliest_at - state.written_at > 2 * self._interval
            return None, max(state.earliest_at - now, 0.0) if is_blocked else 0.0

        try:
            return self._update(remaining, 0.0)
        except RateLimitLockedError:
            return 0.0

    def release(self, departure: Departure, *, warm: bool = False, timeout: float = LOCK_TIMEOUT_SECONDS) -> None:
        """Record that the response to a request has begun to arrive.

        If the lock is not free in time, nothing is recorded, and the next request is sent later than necessary.

        :param departure: from :meth:`try_acquire`.
        :param warm: as passed there. Round trips are measured over open connections only.
        :param timeout: how long to wait for the lock, in seconds.
        """
        behind = self._rtt.min_rtt / 2 if warm else 0.0

        def decide(state: SlotState, now: float) -> tuple[SlotState | None, float | None]:
            released = release(state, now, interval=self._interval, departure=departure.id, behind=behind)
            return released, None if released is None else now - state.written_at

        try:
            round_trip = self._update(decide, timeout)
        except RateLimitLockedError as error:
            log.warning(
                "A response arrived, but that could not be recorded; the next request may be delayed: %s", error
            )
            return
        if warm and round_trip is not None:
            self._rtt.add(round_trip)

    def penalize(self, seconds: float, *, timeout: float = LOCK_TIMEOUT_SECONDS) -> None:
        """Block the account for all its callers after a 429.

        :param seconds: for how long, from now; at most an hour counts.
        :param timeout: how long to wait for the lock, in seconds. After that a warning is logged.
        """
        self._rtt.reset()

        def decide(state: SlotState, now: float) -> tuple[SlotState, None]:
            return penalize(state, now, interval=self._interval, seconds=seconds), None

        try:
            self._update(decide, timeout)
        except RateLimitLockedError as error:
            log.warning("TrackingMore answered 429, and the other processes could not be notified: %s", error)

    def _update(self, decide: Change[R], timeout: float, clock: Callable[[], float] | None = None) -> R:
        def change(found: SlotState, now: float) -> tuple[SlotState | None, R]:
            state = repair(found, now)
            decided, result = decide(state, now)
            return decided or (None if state is found else state), result

        return self._store.update(change, clock or self._clock, timeout=timeout)

    def pause(self, busy: SlotBusy, rounds: int) -> float:
        """Return how long to sleep before the next attempt.

        :param busy: from :meth:`try_acquire`.
        :param rounds: how many attempts of this caller have failed.
        :return: seconds, fewer for callers that have waited longer.
        """
        spread = min(self._interval, 1.0) * SPREAD * random.uniform(0.9, 1)  # noqa: S311  # spreads, protects nothing
        return busy.seconds + spread / (1 + rounds)
