"""One polling loop per account, process and event loop: it makes the calls that schedule and planner choose.

Waits subscribe with their shipments and receive what concerns them. The loop makes one call at a time and decides anew
before each, so that nobody stands behind a long series of calls.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from heapq import nsmallest
from operator import itemgetter
from typing import Protocol, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_trackingmore.api.arguments import ListFilters
from airflow_provider_trackingmore.api.batching import filter_chunks
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS, PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.observer import Observer
from airflow_provider_trackingmore.waiting.answers import ObservedPage, number_request, page_request
from airflow_provider_trackingmore.waiting.changes import ChangeCursor
from airflow_provider_trackingmore.waiting.failures import (
    FIRST_BACK_OFF,
    SERVICE_FAILURES,
    FailedGroup,
    Scope,
    back_off,
    scope_of,
)
from airflow_provider_trackingmore.waiting.observation import NOT_REGISTERED, Observation
from airflow_provider_trackingmore.waiting.planner import number_calls, pages, plan
from airflow_provider_trackingmore.waiting.registry import Registry, Subscription, WatchedShipment
from airflow_provider_trackingmore.waiting.schedule import (
    Due,
    Gathering,
    most_urgent,
    next_check,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

ROWS_AT_ONCE = 100
"""After so many rows or shipments the event loop gets a chance to run others."""
SCANNED_AT_ONCE = 2000
DAY = 86_400.0
LAST_CHECK_GATHER_SECONDS = 0.3
"""Waits with one deadline share their last check."""
LIST_MEMORY_SECONDS = 6 * 3600.0
"""The length of the list, and that a way of checking does not work, are remembered for so long."""
SHIFTED_CHANGES_SECONDS = 60.0
"""A list of changes that moved while it was read is tried again after this."""
LONG_CHANGES_SECONDS = 1800.0
"""A list of changes that was too long is tried again after this."""
LONG_LIST_SECONDS = 300.0
"""A list that was too long is tried again after this: the oldest open shipment may be a newer one then."""
UNKNOWN_TOTAL = 10**9
"""Rows of a list that does not say how long it is."""
OTHERS_TURN = 5
"""While shipments are due without a break, every fifth call goes to retries and confirmations."""
GOLDEN_RATIO = 0.618033988749895


class Sender(Protocol):
    """What the poller needs of a client."""

    @property
    def account(self) -> str:
        """The fingerprint of the key."""
        ...

    async def asend(
        self, request: Request[T], *, max_wait_seconds: float | None = None, max_attempts: int | None = None
    ) -> T:
        """Send a request as soon as the account's pace allows, and return its result."""
        ...

    def close(self) -> None:
        """Close the connections. It can be used again."""
        ...


class Poller:
    """The polling loop of one account. The first subscription starts it, the last one to leave ends it.

    :param sender: sends the calls; closed with the loop.
    :param pollers: the pollers of this event loop.
    """

    def __init__(self, sender: Sender, pollers: Pollers) -> None:
        self.sender = sender
        self._pollers = pollers
        self._clock = asyncio.get_running_loop().time
        self._registry = Registry()
        self._gathering = Gathering()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._cursor = ChangeCursor()
        self._changes_checked_at = -math.inf
        self._changes_allowed_at = -math.inf
        self._changed_rows = 0
        self._list: tuple[float, int, float] | None = None  # created since, rows, when that was seen
        self._list_allowed_at = -math.inf
        self._failed_groups: list[FailedGroup] = []
        self._unconfirmed: dict[WatchedShipment, None] = {}
        self._calls_since_others = 0
        self._phase = 0.0
        # Failures of the whole account.
        self._paused_until = -math.inf
        self._failures = 0
        self._failures_in_a_row: list[type[TrackingMoreError]] = []
        self._refusal: TrackingMoreError | None = None

    @property
    def subscriptions(self) -> int:
        """How many waits have subscribed."""
        return len(self._registry.subscriptions)

    async def subscribe(
        self,
        shipments: Sequence[ShipmentKey],
        *,
        poke_interval: float,
        reconcile_seconds: float,
        first_check_in: float | None = None,
    ) -> Subscription:
        """Subscribe to shipments.

        :param shipments: the shipments.
        :param poke_interval: seconds between two checks of each, at most.
        :param reconcile_seconds: seconds between two checks that do not rely on the list of changes, at most.
        :param first_check_in: seconds until the first check, 0 or less for one as soon as others had time to join;
            None: they have just been checked, so one ``poke_interval`` from now.
        :return: the subscription, to be used in a ``with`` block.
        """
        subscription = Subscription(poke_interval, reconcile_seconds, self._unsubscribe)
        self._registry.subscriptions[subscription] = None
        try:
            async for key in in_slices(shipments):
                self._add(subscription, key, first_check_in)
        except BaseException:
            subscription.close()
            raise
        self._pollers.count_waits()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="trackingmore-poller")
            self._pollers.observer.gauge("waits.failed_polls", 0)
        self._wake.set()
        return subscription

    def check_at_deadline(self, subscription: Subscription) -> None:
        """Check all shipments of a subscription once more, fully, before anything else.

        :param subscription: its ``awaits_full_check`` tells when that is done.
        """
        subscription.await_full_check()
        at = self._clock() + LAST_CHECK_GATHER_SECONDS
        for key in subscription.shipments:
            shipment = self._registry.shipments[key]
            shipment.wanted_at = min(shipment.wanted_at, at)
            shipment.wants_full_check = True
        self._wake.set()

    def _add(self, subscription: Subscription, key: ShipmentKey, first_check_in: float | None) -> None:
        now = self._clock()
        shipment = self._registry.add(subscription, key)
        if shipment.observed is not None and shipment.observed.status is not None:
            checked_at = max(shipment.checked_at, self._changes_checked_at)
            if now - checked_at <= subscription.poke_interval:
                for one in self._registry.publish(shipment, full=False):
                    one.notify()
                return
        elif shipment.hold is not None:
            return
        if first_check_in is None:
            first_check_in = subscription.poke_interval
        if first_check_in > 0 or shipment.observed is not None:
            shipment.wanted_at = min(shipment.wanted_at, now + max(first_check_in, 0.0))
        elif shipment.wanted_at > now:
            self._gathering.add(shipment, now)

    def _unsubscribe(self, subscription: Subscription, keys: Iterable[ShipmentKey], is_end: bool) -> None:
        self._registry.remove(subscription, keys)
        if not is_end:
            return
        self._registry.subscriptions.pop(subscription, None)
        self._pollers.count_waits()
        if not self._registry.subscriptions:
            if self._task is not None:
                self._task.cancel()
                self._task = None
            self.sender.close()
            self._pollers.forget(self)

    # The loop --------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                await self._step()
        except Exception as error:  # a bug must end the waits with a reason, not leave them waiting for ever
            log.exception("The poller of account %s failed", self.sender.account)
            self._fail_all(TrackingMoreError(f"the poller failed: {type(error).__name__}"))

    async def _step(self) -> None:
        """Make the next call, or sleep until there is one to make."""
        now = self._clock()
        if now < self._paused_until:
            await self._sleep_until(self._paused_until)
            return
        if self._gathering.due <= now:
            self._gathering.release(now)
        due = await self._scan(now)
        others_at = self._others_at()
        if due.shipments and (others_at > now or self._calls_since_others < OTHERS_TURN):
            self._calls_since_others += 1
            await self._check_due(due, now)
        elif others_at <= now:
            self._calls_since_others = 0
            await self._serve_others(now)
        else:
            self._failures_in_a_row.clear()
            await self._sleep_until(min(due.next_at, others_at, self._gathering.due))

    async def _sleep_until(self, moment: float) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout_at(None if math.isinf(moment) else moment):
                while not self._wake.is_set() or self._clock() < self._paused_until:
                    await self._wake.wait()
                    if self._clock() < self._paused_until:
                        self._wake.clear()
        except TimeoutError:
            pass

    async def _scan(self, now: float) -> Due:
        due = Due()
        async for shipment in in_slices(list(self._registry.shipments.values()), SCANNED_AT_ONCE):
            if shipment.subscribers:
                due.add(shipment, now, self._changes_checked_at)
        return due

    async def _check_due(self, due: Due, now: float) -> None:
        """Check what is due, or the most urgent of it."""
        self._pollers.observer.timing("waits.late", max(now - min(at for at, _ in due.shipments), 0.0))
        self._cursor.advance(due.oldest_check)
        since = max(due.oldest_created - 60.0, 0.0) if math.isfinite(due.oldest_created) else 0.0
        can_ask = self._cursor.since is not None and now >= self._changes_allowed_at
        listable = sum(1 for _, one in due.shipments if not one.unlisted)
        stale = [one for _, one in due.stale if not one.unlisted]
        unseen = stale and all(one.list_again_at > now for one in stale)
        chosen = plan(
            listable,
            len(stale),
            rows=UNKNOWN_TOTAL if unseen else self._list_rows(since, now),
            changed=self._changed_rows if can_ask else None,
            prefer_all=due.number_rate / FILTER_NUMBERS > 1 / due.shortest_interval,
        )
        if chosen.by_change and listable:
            await self._check_changes(number_calls(listable))
        elif chosen.by_list and listable:
            if await self._check_list(since, chosen.max_list_calls):
                for _, one in due.shipments:
                    if one.fully_checked_at < now:  # it is asked for by number from now on
                        one.list_again_at = now + LIST_MEMORY_SECONDS
        else:
            await self._check_numbers(due, now)

    async def _check_numbers(self, due: Due, now: float) -> None:
        """Check the most urgent by number, and fill the call up with what is due next."""
        chosen = most_urgent(due.shipments, FILTER_NUMBERS, now)
        first = chosen[0]
        if _must_be_asked_alone(first):
            await self._check_alone(first)
            return
        listable = [one for one in chosen if not _must_be_asked_alone(one)]
        if len(listable) < FILTER_NUMBERS:
            taken = set(listable)
            gathering = self._gathering.shipments
            rest = (
                (now if one in gathering else next_check(one, self._changes_checked_at), one)
                for one in self._registry.shipments.values()
                if one not in taken and not _must_be_asked_alone(one)
            )
            following = nsmallest(FILTER_NUMBERS - len(listable), rest, key=itemgetter(0))
            listable += [one for at, one in following if at < math.inf]
        numbers = filter_chunks(list(dict.fromkeys(one.key.tracking_number for one in listable)))[0]
        wanted = set(numbers)
        group = FailedGroup([one for one in listable if one.key.tracking_number in wanted], now)
        await self._check_group(group)

    async def _check_group(self, group: FailedGroup) -> None:
        """Check shipments by number with one call; what it leaves out is asked for by itself later."""
        shipments = [one for one in group.shipments if one.subscribers]
        if not shipments:
            return
        if len(shipments) == 1 and _must_be_asked_alone(shipments[0]):
            await self._check_alone(shipments[0])
            return
        numbers = list(dict.fromkeys(one.key.tracking_number for one in shipments))
        try:
            page = await self._send_page({"numbers": numbers}, 1)
        except TrackingMoreError as error:
            self._group_failed(FailedGroup(shipments, self._clock(), group.failures), error)
            return
        self._succeeded()
        await self._process_rows(page, phase=self._next_phase())
        seen = set(page.keys)
        for shipment in shipments:
            if shipment.normalized not in seen and shipment.subscribers:
                self._confirm_later(shipment)

    async def _check_alone(self, shipment: WatchedShipment) -> None:
        """Check one shipment with ``GET`` by number, whose word is final."""
        asked_for = set(shipment.subscribers)
        try:
            page = await self._send(number_request(shipment.key, self._pollers.clock))
        except TrackingMoreError as error:
            if scope_of(error, names_one=True) is Scope.UNKNOWN:
                self._succeeded()
                self._unconfirmed.pop(shipment, None)
                # Waits that joined after the call was sent may have registered the shipment meanwhile.
                late = [one for one in shipment.subscribers if one not in asked_for]
                for one in late:
                    del shipment.subscribers[one]
                self._checked(shipment, NOT_REGISTERED, None, phase=1.0, at=self._clock())
                for one in late:
                    shipment.subscribers[one] = 0
                    shipment.wanted_at = self._clock()
                return
            self._group_failed(FailedGroup([shipment], self._clock(), self._failures_of(shipment)), error, alone=True)
            return
        self._succeeded()
        await self._process_rows(page, phase=1.0)
        if shipment in self._unconfirmed:
            del self._unconfirmed[shipment]
            shipment.unlisted = True

    async def _check_list(self, since: float, max_calls: int) -> bool:
        """Read the list of everything registered since a moment, or as much of it as is worth it.

        :return: whether it was read to its end.
        """
        filters: ListFilters = {"created_at_min": int(since)} if since else {}
        number = 0
        while True:
            number += 1
            try:
                page = await self._send_page(filters, number)
            except TrackingMoreError as error:
                if self._call_failed(error):
                    self._list_allowed_at = self._clock() + LONG_CHANGES_SECONDS
                return False
            self._succeeded()
            if number == 1:
                rows = UNKNOWN_TOTAL if page.total is None else page.total
                self._list = since, rows, self._clock()
            await self._process_rows(page, phase=1.0)
            if page.is_last or (page.total is not None and number >= pages(page.total)):
                return True
            if page.total is None or pages(page.total) > max(max_calls, number):
                self._list_allowed_at = self._clock() + LONG_LIST_SECONDS
                return False
            await self._check_overdue()

    async def _check_changes(self, calls_by_number: int) -> None:
        """Read the list of what has changed. Only if it was read to its end does it count as a check of everything."""
        since = self._cursor.since
        seen: set[ShipmentKey] = set()
        began = math.inf
        total: int | None = None
        number = 0
        while True:
            number += 1
            try:
                page = await self._send_page({"update_time_min": since or 0}, number)
            except TrackingMoreError as error:
                if self._call_failed(error):
                    self._changes_allowed_at = self._clock() + LONG_CHANGES_SECONDS
                return
            self._succeeded()
            began = min(began, self._clock())
            rows = len(page.keys) if page.total is None else page.total
            seen.update(page.keys)
            await self._process_rows(page, phase=1.0)
            if number == 1 and 1 < pages(rows) >= calls_by_number:
                self._changes_allowed_at = self._clock() + LONG_CHANGES_SECONDS
                return
            if number > 1 and rows != total:
                break
            total = rows
            if page.is_last or number >= pages(rows):
                break
            await self._check_overdue()
        if number > 1 and (rows != total or len(seen) != total):
            # Rows came or went while the pages were read, so some may have been skipped.
            self._changes_allowed_at = self._clock() + SHIFTED_CHANGES_SECONDS
            return
        self._changed_rows = rows
        self._changes_checked_at = began

    async def _check_overdue(self) -> None:
        """Between the pages of a long list: check those that are late by a whole interval."""
        now = self._clock()
        due = await self._scan(now)
        late = [(at, one) for at, one in due.shipments if now - at > min(one.poke_interval, one.reconcile_seconds)]
        if late and now >= self._paused_until:
            due.shipments = late
            await self._check_numbers(due, now)

    # Retries and confirmations ---------------------------------------------------------------------------------------

    def _others_at(self) -> float:
        """When the next retry or confirmation can be made."""
        if self._unconfirmed:
            return -math.inf
        return min((group.retry_at for group in self._failed_groups), default=math.inf)

    async def _serve_others(self, now: float) -> None:
        ready = min(self._failed_groups, key=lambda group: group.retry_at, default=None)
        if ready is not None and ready.retry_at <= now:
            self._failed_groups.remove(ready)
            if open_ := ready.open:
                ready.shipments = open_
                await self._check_group(ready)
            return
        shipment = next((one for one in self._unconfirmed if one.wants_full_check), None)
        shipment = shipment or next(iter(self._unconfirmed), None)
        if shipment is None:
            return
        if shipment.subscribers and shipment.hold is self._unconfirmed:
            await self._check_alone(shipment)
        else:
            del self._unconfirmed[shipment]

    def _confirm_later(self, shipment: WatchedShipment) -> None:
        shipment.hold = self._unconfirmed
        self._unconfirmed[shipment] = None
        self._gathering.shipments.pop(shipment, None)

    # Answers ---------------------------------------------------------------------------------------------------------

    async def _send_page(self, filters: ListFilters, number: int) -> ObservedPage:
        page = await self._send(page_request(filters, number, self._registry.shipments.keys(), self._pollers.clock))
        self._cursor.note(page.updated, page.created, at=self._clock(), now=self._pollers.clock())
        return page

    async def _send(self, request: Request[T]) -> T:
        return await self.sender.asend(request, max_attempts=1)

    async def _process_rows(self, page: ObservedPage, *, phase: float) -> None:
        """Take in the rows of one answer, and notify each subscriber once."""
        at = self._clock()
        told: dict[Subscription, None] = {}
        async for row in in_slices(page.rows):
            shipment = self._registry.shipments.get(row.key)
            if shipment is not None:
                shipment.unlisted = False
                for one in self._checked(shipment, row.observed, row.created, phase=phase, at=at, notify=False):
                    told[one] = None
        async for subscription in in_slices(list(told)):
            subscription.notify()

    def _checked(
        self,
        shipment: WatchedShipment,
        observed: Observation,
        created: float | None,
        *,
        phase: float,
        at: float,
        notify: bool = True,
    ) -> list[Subscription]:
        """Record a full check."""
        is_first = shipment.observed is None
        shipment.checked_at = shipment.fully_checked_at = at
        shipment.full_check_due = at + shipment.reconcile_seconds * (phase if is_first else 1.0)
        shipment.wanted_at, shipment.wants_full_check, shipment.hold = math.inf, False, None
        shipment.created = created if created is not None else shipment.created
        self._gathering.shipments.pop(shipment, None)
        if observed != shipment.observed:
            shipment.observed = observed
            shipment.revision += 1
        told = self._registry.publish(shipment, full=True)
        if notify:
            for subscription in told:
                subscription.notify()
        return told

    def _next_phase(self) -> float:
        """Spread the full checks of a large account evenly, so that they do not all come due at once."""
        if len(self._registry.shipments) <= FILTER_NUMBERS:
            return 1.0
        self._phase = (self._phase + GOLDEN_RATIO) % 1.0
        return 1.0 - 0.9 * self._phase

    def _list_rows(self, since: float, now: float) -> int | None:
        """How many rows the list has, at most; None when that is not known (any more)."""
        if now < self._list_allowed_at:
            return UNKNOWN_TOTAL
        if self._list is None or self._list[0] > since or now > self._list[2] + LIST_MEMORY_SECONDS:
            return None
        return self._list[1] if self._list[1] <= PAGE_SIZE or since <= self._list[0] + DAY else None

    # Failures --------------------------------------------------------------------------------------------------------

    def _succeeded(self) -> None:
        if self._failures:
            self._failures = 0
            self._pollers.observer.gauge("waits.failed_polls", 0)
        self._failures_in_a_row.clear()
        self._refusal = None

    def _failures_of(self, shipment: WatchedShipment) -> int:
        return shipment.hold.failures + 1 if isinstance(shipment.hold, FailedGroup) else 1

    def _group_failed(self, group: FailedGroup, error: TrackingMoreError, *, alone: bool = False) -> None:
        """A call that names shipments failed: that concerns them, unless several in a row fail alike."""
        scope = scope_of(error, names_one=alone)
        if scope is Scope.RATE_LIMIT:
            if any(isinstance(one.hold, FailedGroup) for one in group.shipments):
                self._put_back(group, self._clock())
            self._cool_down(error)
            return
        if scope is Scope.ACCOUNT:
            self._put_back(group, self._clock())
            self._refused(error)
            return
        now = self._clock()
        if scope is Scope.SHIPMENT:
            if len(group.shipments) == 1:
                self._confirm_later(group.shipments[0])
            else:
                for half in self._split(group, now):
                    self._put_back(half, now)
            return
        for shipment in group.shipments:
            self._unconfirmed.pop(shipment, None)
        failures = group.failures if len(group.shipments) == 1 else 1
        pause = back_off(failures, self._pollers.rng, at_least=error.retry_after)
        self._failures_in_a_row.append(type(error))
        alike = self._failures_in_a_row[-SERVICE_FAILURES:]
        if len(alike) == SERVICE_FAILURES and len(set(alike)) == 1:
            pause = self._pause(error)
            self._put_back(group, now + pause)
            return
        level = logging.WARNING if group.failures.bit_count() == 1 else logging.DEBUG  # the 1st, 2nd, 4th, 8th ...
        log.log(level, "Check of %d shipments failed, retrying in %.0f s: %s", len(group.shipments), pause, error)
        for half in self._split(group, now + pause):
            self._put_back(half, now + pause)

    def _split(self, group: FailedGroup, retry_at: float) -> list[FailedGroup]:
        if len(group.shipments) == 1:
            return [FailedGroup(group.shipments, retry_at, group.failures + 1)]
        group.hold()
        return group.halves(retry_at)

    def _put_back(self, group: FailedGroup, retry_at: float) -> None:
        group.retry_at = retry_at
        group.hold()
        self._failed_groups.append(group)

    def _call_failed(self, error: TrackingMoreError) -> bool:
        """A call that names no shipment failed: that is the service.

        :return: whether the vendor refuses this kind of call, so that another one must do.
        """
        scope = scope_of(error, names_one=False)
        if scope is Scope.RATE_LIMIT:
            self._cool_down(error)
            return False
        if scope is Scope.ACCOUNT:
            self._refused(error)
            return False
        self._pause(error)
        return scope is Scope.SHIPMENT or self._failures > 1

    def _cool_down(self, error: TrackingMoreError) -> None:
        """Wait for as long as the rate limiter keeps the account silent."""
        self._paused_until = self._clock() + (error.retry_after or FIRST_BACK_OFF)

    def _pause(self, error: TrackingMoreError) -> float:
        """Back off as a whole."""
        self._failures += 1
        self._failures_in_a_row.clear()
        pause = back_off(self._failures, self._pollers.rng, at_least=error.retry_after)
        self._paused_until = self._clock() + pause
        if self._failures.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ... in a row
            log.warning(
                "Poll failed %d times in a row, retrying in %.0f s (%d waits of account %s go on): %s",
                self._failures,
                pause,
                self.subscriptions,
                self.sender.account,
                error,
            )
        self._pollers.observer.gauge("waits.failed_polls", self._failures)
        return pause

    def _refused(self, error: TrackingMoreError) -> None:
        """The vendor refuses the account: only the same refusal a second time is final."""
        if self._refusal is not None and type(self._refusal) is type(error):
            self._fail_all(error)
            return
        self._refusal = error
        pause = back_off(2, self._pollers.rng)
        self._paused_until = self._clock() + pause
        log.warning("Account %s was refused, trying once more in %.0f s: %s", self.sender.account, pause, error)

    def _fail_all(self, error: TrackingMoreError) -> None:
        self._refusal = None
        self._paused_until = self._clock() + back_off(2, self._pollers.rng)
        for subscription in self._registry.subscriptions:
            subscription.fail(error)


def _must_be_asked_alone(shipment: WatchedShipment) -> bool:
    """The ``numbers`` filter separates numbers by commas; and some shipments are left out of all lists."""
    return shipment.unlisted or "," in shipment.key.tracking_number


async def in_slices(items: Iterable[T], size: int = ROWS_AT_ONCE) -> AsyncIterator[T]:
    """Iterate over many items, and let the event loop run others in between.

    :param items: the items.
    :param size: how many of them at once.
    """
    for position, item in enumerate(items, start=1):
        yield item
        if position % size == 0:
            await asyncio.sleep(0)


class Pollers:
    """The pollers of one event loop, one per account.

    :param clock: unix seconds.
    :param rng: for the jitter of back-offs; None: a generator of its own.
    :param observer: receives metrics.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.clock = clock
        self.rng = rng or random.Random()  # noqa: S311  # spreads retries, protects nothing
        self.observer = observer or Observer()
        self._pollers: dict[str, Poller] = {}

    def get(self, sender: Sender) -> Poller:
        """Return the poller of the sender's account, which may be a new one.

        :param sender: kept by a new poller, closed if the account's poller has another one.
        :return: the poller. Subscribe before the next ``await``, or it may have ended.
        """
        poller = self._pollers.get(sender.account)
        if poller is None:
            poller = self._pollers[sender.account] = Poller(sender, self)
        elif poller.sender is not sender:
            sender.close()
        return poller

    def forget(self, poller: Poller) -> None:
        """Remove a poller that has ended."""
        if self._pollers.get(poller.sender.account) is poller:
            del self._pollers[poller.sender.account]

    def count_waits(self) -> None:
        """Tell the metrics how many waits this event loop has, of all accounts."""
        self.observer.gauge("waits.open", self.open_waits)

    @property
    def open_waits(self) -> int:
        """How many waits have subscribed, of all accounts."""
        return sum(poller.subscriptions for poller in self._pollers.values())


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Pollers] = WeakKeyDictionary()


def pollers_of_running_loop(observer: Observer | None = None) -> Pollers:
    """Return the pollers of the running event loop.

    :param observer: receives metrics, when this is the first call in the loop.
    """
    loop = asyncio.get_running_loop()
    pollers = _of_loop.get(loop)
    if pollers is None:
        pollers = _of_loop[loop] = Pollers(observer=observer)
    return pollers
