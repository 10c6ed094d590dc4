"""When the next request may leave: one slot clock for each account. Decides; stores, sleeps and sends nothing itself.

The server counts *arrivals*, and answers the second one within an interval by a silence of two minutes for the whole
account. Pacing by departure alone is therefore wrong: two requests that depart 1.000 s apart arrive 0.99 s apart as
soon as the second travels 10 ms faster. What is certain is this: a request arrives after it departed and before
its answer is here. So

- a departure moves ``next_free_at`` to ``now + interval + grace``: nobody follows before the request has had ``grace``
  seconds to arrive;
- the first byte of its answer moves ``next_free_at`` back to ``now + interval``, if that is earlier: whoever follows
  departs, and so arrives, at least one interval after the arrival. The gap is certain, and costs one round trip;
- only an answer proves an arrival: after a failure the first rule stands.

Where every round trip takes long, and about as long as the one before, the second rule gives away more than it must. A
caller that has measured its own trips (see :mod:`.trips`) knows how long a trip takes at the least: half of that passed
after the arrival, on the answer's way back; half of it will pass before the next request arrives. Each side takes its
half off. Nobody follows within ``interval`` of a departure, whatever is known.

A 429 that came all the same teaches a ``margin``, which is added to every gap, doubles with each further 429, and
shrinks slowly as answers come in.

Both rules hold only for a request that leaves as soon as it has its slot. A slow connection or a suspended process can
hold it up in between. So the client asks :meth:`RateLimiter.is_late` just before it sends, and acquires another slot if
more than half of the grace has passed.

A slot is taken or not, at the moment of departure; nobody queues by reserving. So a waiter that is killed holds
nothing, and a cool-down that comes while others wait counts for all of them. Fairness needs no shared queue either:
the more often a waiter came too late, the sooner after the slot's beginning it comes the next time.

Every decision is made with the clock read inside the store's lock. A state "from the future" therefore means that the
clock was set back, and nothing else.
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
"""How long a caller waits for a lock that is otherwise held for a fraction of a millisecond."""
WARM_GRACE_SECONDS = 0.5
"""Time for one request to arrive over a connection that is open."""
COLD_GRACE_SECONDS = 1.5
"""The same when the connection must be made first: DNS, TCP and TLS take several round trips before the request."""
SPREAD = 0.01
"""Waiters come to a slot at different moments within this share of an interval."""
RECHECK_SHARE = 0.05
"""Who waits for the answer to another's request looks again after this share of an interval."""
FIRST_MARGIN = 0.02
"""Share of an interval that the first 429 adds to every gap; each further one doubles it."""
LARGEST_MARGIN = 0.5
SMALLEST_MARGIN = 0.001
"""Shares of an interval; a margin below the smallest is none."""
MARGIN_KEPT = 0.5 ** (1 / 600)
"""What an answer leaves of the margin: half of it after 600 answers, ten minutes at the documented pace."""


@dataclass(frozen=True, slots=True)
class SlotState:
    """What the callers of one account share.

    :param next_free_at: no request may depart before, save by what its caller knows about its own way.
    :param earliest_at: no request may depart before, whatever is known.
    :param departure: the request that is on its way, if it was the last to depart and has no answer yet; else empty.
    :param written_at: when this state was made.
    :param margin: seconds that 429s have added to every gap.
    """

    next_free_at: float = 0.0
    earliest_at: float = 0.0
    departure: str = ""
    written_at: float = 0.0
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class SlotBusy:
    """The slot is not free.

    :param seconds: until it is worth asking again.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Departure:
    """A slot that was acquired.

    :param id: tells it apart from all others.
    :param at: when it was acquired, by the clock of the caller's :class:`RateLimiter`.
    :param grace: seconds that the request has to arrive before the next one may leave, in addition to the interval.
    """

    id: str
    at: float
    grace: float


Change = Callable[[SlotState, float], tuple[SlotState | None, R]]
"""Gets the state and the time; returns the new state (None: leave it) and a result."""


class SlotStore(Protocol):
    """Where a :class:`SlotState` lives."""

    def update(self, change: Change[R], clock: Callable[[], float], *, timeout: float = LOCK_TIMEOUT_SECONDS) -> R:
        """Read, change and write the state as one step that nobody can come between.

        :param change: decides. Fast, and free of effects, for it may be called twice.
        :param clock: read while nobody can come between. A store that has a clock of its own passes that one's time to
            ``change``, and reads this one before that.
        :param timeout: longest time to wait for the lock, in seconds.
        :return: the result of ``change``.
        :raises RateLimitLockedError: somebody else holds the lock for longer.
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
) -> SlotState | SlotBusy:
    """Depart now, if the slot is free.

    :param ahead: seconds that this request certainly travels before it arrives.
    :param replaces: an earlier departure of the same request, which was not sent. The slot is free if no other request
        has departed since.
    :return: the state with this departure in it, or how long to wait. While a request is on its way its answer can
        bring the slot forward, so the wait is then short.
    """
    free_at = state.next_free_at if state.departure else max(state.earliest_at, state.next_free_at - ahead)
    seconds = free_at - now
    if seconds > 0 and not (replaces and state.departure == replaces):
        if state.departure:
            seconds = min(seconds, max(state.earliest_at - now, interval * RECHECK_SHARE))
        return SlotBusy(seconds)
    earliest_at = now + interval + _margin(state, interval)
    return replace(
        state, next_free_at=earliest_at + grace, earliest_at=earliest_at, departure=departure, written_at=now
    )


def release(state: SlotState, now: float, *, interval: float, departure: str, behind: float = 0.0) -> SlotState | None:
    """Note that a request is answered, hence has arrived by now.

    :param behind: seconds that its answer certainly travelled after it had arrived.
    :return: the new state; None when somebody departed since or the account cools down: then it changes nothing.
    """
    if state.departure != departure:
        return None
    margin = _margin(state, interval)
    free_at = min(state.next_free_at, max(state.earliest_at, now - behind + interval + margin))
    narrowed = margin * MARGIN_KEPT
    return SlotState(free_at, state.earliest_at, "", now, narrowed if narrowed > SMALLEST_MARGIN * interval else 0.0)


def block_for(state: SlotState, now: float, *, seconds: float) -> SlotState:
    """Keep everybody silent for ``seconds`` from now; no answer brings that forward."""
    until = max(state.next_free_at, now + min(seconds, MAX_COOL_DOWN_SECONDS))
    return SlotState(until, until, "", now, state.margin)


def penalize(state: SlotState, now: float, *, interval: float, seconds: float) -> SlotState:
    """Keep everybody silent for ``seconds`` after a 429, and more apart from then on."""
    margin = max(2 * _margin(state, interval), FIRST_MARGIN * interval)
    if not state.departure and state.next_free_at > now + 2 * interval:
        margin = _margin(state, interval)  # one more 429 of the same silence teaches nothing new
    return replace(block_for(state, now, seconds=seconds), margin=min(margin, LARGEST_MARGIN * interval))


def repair(state: SlotState, now: float) -> SlotState:
    """Make a state usable after the clock was set back or the state was damaged: no wait becomes absurd.

    :return: the same object when there is nothing to repair. A repaired state must be written, or else the clock stays
        behind it and the wait never ends.
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
    """The slot clock of one account as one caller sees it.

    :param store: where the state lives.
    :param interval: seconds between two arrivals.
    :param clock: seconds; the same for all who share the store.
    """

    def __init__(self, store: SlotStore, *, interval: float, clock: Callable[[], float]) -> None:
        self._store = store
        self._interval = interval
        self._clock = clock
        self._rtt = RoundTripTimes(interval)

    def try_acquire(
        self, *, warm: bool, timeout: float = LOCK_TIMEOUT_SECONDS, replaces: Departure | None = None
    ) -> Departure | SlotBusy:
        """Take the slot, if it is free, for a request that leaves at once.

        :param warm: whether the request goes over a connection that is already open.
        :param timeout: longest time to wait for a lock, in seconds.
        :param replaces: the departure for which this request was late. The new one has twice its grace, so that even a
            process that is always slow sends in the end.
        :return: the departure, to be handed to :meth:`is_late` and :meth:`release`; or how long to wait.
        :raises RateLimitLockedError: somebody else holds the lock for longer: nothing was taken.
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
            taken = try_acquire(
                state, now, interval=self._interval, grace=grace, departure=departure, ahead=ahead, replaces=late
            )
            return (None, taken) if isinstance(taken, SlotBusy) else (taken, None)

        return self._update(decide, timeout, clock) or Departure(departure, at, grace)

    def is_late(self, departure: Departure) -> bool:
        """Tell whether a request may no longer be sent in its slot, because the next one could arrive right behind it.

        :param departure: from :meth:`try_acquire`.
        """
        return self._clock() - departure.at > departure.grace / 2

    def is_free(self) -> bool:
        """Tell whether a request could leave at once; takes nothing, and does not wait for a lock."""
        try:
            return self._update(lambda state, now: (None, state.next_free_at <= now), 0.0)
        except RateLimitLockedError:
            return False

    def release(self, departure: Departure, *, warm: bool = False, timeout: float = LOCK_TIMEOUT_SECONDS) -> None:
        """Note that the answer to a departure has begun to come in.

        When somebody else keeps the lock, the note is left out: the next request then leaves later than it might.

        :param departure: from :meth:`try_acquire`.
        :param warm: as given there; only trips over an open connection are alike enough to learn from.
        :param timeout: longest time to wait for a lock, in seconds.
        """
        behind = self._rtt.min_rtt / 2 if warm else 0.0

        def decide(state: SlotState, now: float) -> tuple[SlotState | None, float | None]:
            noted = release(state, now, interval=self._interval, departure=departure.id, behind=behind)
            return noted, None if noted is None else now - state.written_at

        try:
            trip = self._update(decide, timeout)
        except RateLimitLockedError as error:
            log.warning("The answer is here, and its arrival could not be written down: %s", error)
            return
        if warm and trip is not None:
            self._rtt.add(trip)

    def penalize(self, seconds: float, *, timeout: float = LOCK_TIMEOUT_SECONDS) -> None:
        """Keep everybody who uses the account silent after a 429.

        :param seconds: from now; at most an hour counts.
        :param timeout: longest time to wait for a lock, in seconds; then a warning says that nobody else knows.
        """
        self._rtt.reset()

        def decide(state: SlotState, now: float) -> tuple[SlotState, None]:
            return penalize(state, now, interval=self._interval, seconds=seconds), None

        try:
            self._update(decide, timeout)
        except RateLimitLockedError as error:
            log.warning("TrackingMore answered 429, and other processes could not be told: %s", error)

    def _update(self, decide: Change[R], timeout: float, clock: Callable[[], float] | None = None) -> R:
        def change(found: SlotState, now: float) -> tuple[SlotState | None, R]:
            state = repair(found, now)
            decided, result = decide(state, now)
            return decided or (None if state is found else state), result

        return self._store.update(change, clock or self._clock, timeout=timeout)

    def pause(self, wait: SlotBusy, rounds: int) -> float:
        """How long a waiter sleeps before it asks again.

        :param wait: from :meth:`try_acquire`.
        :param rounds: how often this waiter has asked in vain before.
        :return: seconds; shorter for those who have waited longer.
        """
        spread = min(self._interval, 1.0) * SPREAD * random.uniform(0.9, 1)  # noqa: S311  # spreads, protects nothing
        return wait.seconds + spread / (1 + rounds)
