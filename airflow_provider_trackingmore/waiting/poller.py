"""The polling loop of an account: one per event loop and route to the account.

Waits subscribe to their shipments and receive updates about them. The loop makes one call at a time, and the schedule
and the planner choose it again each time, so that no wait is held up by a long series of calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.observer import Observer
from airflow_provider_trackingmore.loading.window import LoadWindow
from airflow_provider_trackingmore.waiting.calls import PollerCalls
from airflow_provider_trackingmore.waiting.cooperative import cooperatively
from airflow_provider_trackingmore.waiting.failure_handling import FailureHandler
from airflow_provider_trackingmore.waiting.hint_checks import HintChecks
from airflow_provider_trackingmore.waiting.list_checks import ListChecks
from airflow_provider_trackingmore.waiting.list_publisher import ListPublisher
from airflow_provider_trackingmore.waiting.list_subscriptions import ListSubscription
from airflow_provider_trackingmore.waiting.number_checks import NumberChecks
from airflow_provider_trackingmore.waiting.progress import WaitProgress, read_progress
from airflow_provider_trackingmore.waiting.recorder import Recorder
from airflow_provider_trackingmore.waiting.registry import Subscription, WatchedShipment
from airflow_provider_trackingmore.waiting.retries import FailedGroup
from airflow_provider_trackingmore.waiting.schedule import GATHER_SECONDS, Due, next_check
from airflow_provider_trackingmore.waiting.sender import Sender
from airflow_provider_trackingmore.waiting.state import PollerState

log = logging.getLogger(__name__)

LAST_CHECK_GATHER_SECONDS = 0.3
"""How long to wait for other waits with the same deadline, so that they share the last check."""
CALLS_PER_RETRY = 5
"""While shipments are continuously due, every fifth call is made for the retry queue."""


class Poller:
    """The polling loop of one account. It starts with the first subscription and ends when the last one is closed.

    :param sender: sends the calls; it is closed when the loop ends.
    :param wall_clock: Unix seconds.
    :param rng: for the jitter of back-offs.
    :param observer: receives metrics.
    :param on_change: called with the poller after each subscription and unsubscription.
    """

    def __init__(
        self,
        sender: Sender,
        *,
        wall_clock: Callable[[], float],
        rng: random.Random,
        observer: Observer,
        on_change: Callable[[Poller], None],
    ) -> None:
        self.sender = sender
        self._observer = observer
        self._on_change = on_change
        self._wall_clock = wall_clock
        self._clock = clock = asyncio.get_running_loop().time
        self._state = state = PollerState(rng)
        self._failures = failures = FailureHandler(state, sender.account, clock, observer)
        calls = PollerCalls(sender, state, Recorder(state, clock, wall_clock), failures, clock, wall_clock)
        self._number_checks = NumberChecks(calls)
        self._list_checks = ListChecks(calls, self._number_checks)
        self._list_publisher = ListPublisher(calls, self._list_checks)
        self._hints = HintChecks(state, clock)
        self._calls_since_retry = 0
        self._waits_come_next = False
        self._wake = asyncio.Event()
        self._sleeps_until = math.inf
        self._task: asyncio.Task[None] | None = None

    @property
    def waits(self) -> int:
        """How many waits have subscribed."""
        return self._state.registry.waits

    @property
    def is_used(self) -> bool:
        """Whether anything has subscribed."""
        return not self._state.registry.is_empty

    @property
    def watchers(self) -> int:
        """How many watchers have subscribed to lists."""
        return len(self._state.registry.list_subscriptions)

    @property
    def problem(self) -> TrackingMoreError | None:
        """Why the whole account is paused; None if it is not, or if it is only cooling down after a 429."""
        return self._state.health.problem

    async def read_progress(self) -> dict[int, WaitProgress]:
        """Return the progress of all waits that have a trigger, by trigger id."""
        return await read_progress(self._state, self._clock, self._wall_clock)

    async def subscribe(
        self,
        shipments: Mapping[ShipmentKey, ShipmentKey],
        *,
        poke_interval: float,
        reconcile_seconds: float,
        first_check_in: float | None = None,
        is_wait: bool = True,
    ) -> Subscription:
        """Subscribe to shipments.

        :param shipments: normalized key -> as the user spells it.
        :param poke_interval: maximum seconds between two checks of a shipment.
        :param reconcile_seconds: maximum seconds between two checks that do not rely on the list of changes.
        :param first_check_in: seconds until the first check; 0 or less for as soon as others have had time to join;
            None for one ``poke_interval`` from now, because the shipments have just been checked.
        :param is_wait: False if it belongs to a subscription to lists, for shipments that the lists leave out.
        :return: the subscription, to be used in a ``with`` block.
        """
        subscription = Subscription(poke_interval, reconcile_seconds, self._unsubscribe, is_wait)
        self._state.registry.open(subscription)
        try:
            next_at = math.inf
            async for normalized, key in cooperatively(shipments.items()):
                shipment = self._state.registry.add(subscription, normalized, key)
                self._schedule(subscription, shipment, first_check_in)
                next_at = min(next_at, next_check(shipment, self._state.lists.changes_checked_at))
        except BaseException:
            subscription.close()
            raise
        self._subscribed(min(next_at, self._state.gathering.due, self._hints.due))
        return subscription

    def subscribe_to_lists(
        self, filters: Mapping[str, object], window: LoadWindow, *, poke_interval: float, reconcile_seconds: float
    ) -> ListSubscription:
        """Subscribe to all shipments in lists. The first check begins when others have had time to join.

        :param filters: the filters of the lists, without times of change.
        :param window: where the lists begin.
        :param poke_interval: maximum seconds between two checks.
        :param reconcile_seconds: maximum seconds between two checks that do not rely on the list of changes.
        :return: the subscription, to be used in a ``with`` block or closed.
        """
        subscription = ListSubscription(
            filters,
            window,
            poke_interval=poke_interval,
            reconcile_seconds=reconcile_seconds,
            due_at=self._clock() + min(GATHER_SECONDS, poke_interval),
            unsubscribe=self._unsubscribe_from_lists,
        )
        self._state.registry.list_subscriptions[subscription] = None
        self._subscribed(subscription.next_at)
        return subscription

    def _subscribed(self, next_at: float) -> None:
        self._on_change(self)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="trackingmore-poller")
            self._observer.gauge("waits.failed_polls", 0)
        self._wake_up_by(next_at)

    def _wake_up_by(self, at: float) -> None:
        """Wake the poller if it would sleep past a time, or let it examine all shipments after the next page.

        :param at: when the next check is due, in event loop time.
        """
        self._state.nothing_overdue_until = -math.inf
        if at < self._sleeps_until:
            self._wake.set()

    def check_now(self, keys: Sequence[ShipmentKey], *, per_minute: int) -> int:
        """Check shipments early, because they may have changed, and read the lists early for watchers.

        :mod:`.hint_checks` limits what such hints cost.

        :param keys: the shipments.
        :param per_minute: how many shipments may be checked per minute because of hints.
        :return: how many of the shipments have subscribers.
        """
        found = self._hints.add(keys, per_minute)
        self.check_lists_now(keys)
        return found

    def check_lists_now(self, keys: Sequence[ShipmentKey]) -> None:
        """Read the lists early for watchers. Waits are not checked.

        :param keys: the shipments that may have changed.
        """
        self._hints.advance_lists(keys)
        self._wake_up_by(min(self._hints.due, self._list_publisher.next_at))

    def check_at_deadline(self, subscription: Subscription) -> None:
        """Give all shipments of a subscription a last full check, with priority and despite earlier failures.

        :param subscription: the subscription; its ``awaits_full_check`` is false once all have been checked.
        """
        subscription.await_full_check()
        at = self._clock() + LAST_CHECK_GATHER_SECONDS
        for key in subscription.shipments:
            shipment = self._state.registry.shipments[key]
            shipment.wanted_at = min(shipment.wanted_at, at)
            shipment.wants_full_check = True
            if isinstance(shipment.hold, FailedGroup):
                shipment.hold.retry_by(at)
        self._state.health.shorten_back_off()
        self._wake_up_by(max(at, self._state.health.paused_until))

    def _schedule(self, subscription: Subscription, shipment: WatchedShipment, first_check_in: float | None) -> None:
        """Schedule the first check of a shipment for a new subscriber, unless what is known of it is recent enough."""
        now = self._clock()
        self._hints.claim(shipment)
        if shipment.observed is not None and shipment.observed.status is not None:
            checked_at = max(shipment.checked_at, self._state.lists.changes_checked_at)
            if now - checked_at <= subscription.poke_interval:
                self._state.registry.publish_to(subscription, shipment)
                return
        elif shipment.hold is not None:
            return
        if first_check_in is None:
            first_check_in = subscription.poke_interval
        if first_check_in > 0 or shipment.observed is not None:
            shipment.wanted_at = min(shipment.wanted_at, now + max(first_check_in, 0.0))
        elif shipment.wanted_at > now:
            self._state.gathering.add(shipment, now)

    def _unsubscribe(self, subscription: Subscription, keys: Iterable[ShipmentKey], is_end: bool) -> None:
        self._state.registry.remove(subscription, keys)
        if not is_end:
            return
        self._state.registry.close(subscription)
        self._unsubscribed()

    def _unsubscribe_from_lists(self, subscription: ListSubscription) -> None:
        if subscription in self._state.registry.list_subscriptions:
            del self._state.registry.list_subscriptions[subscription]
            self._unsubscribed()

    def _unsubscribed(self) -> None:
        if not self.is_used:
            if self._task is not None:
                self._task.cancel()
                self._task = None
            self.sender.close()
        self._on_change(self)

    async def _run(self) -> None:
        try:
            while True:
                await self._step()
        except Exception as error:  # a bug must end the waits with a reason, not leave them waiting forever
            log.exception("The poller of account %s failed", self.sender.account)
            self._task = None  # so that a wait that subscribes before the others have left starts a new loop
            self._failures.fail_all(TrackingMoreError(f"the poller failed: {type(error).__name__}"))

    async def _step(self) -> None:
        """Make the next call, or sleep until there is one to make."""
        self._wake.clear()
        state = self._state
        state.nothing_overdue_until = -math.inf
        now = self._clock()
        if now < state.health.paused_until:
            await self._sleep_until(state.health.paused_until)
            return
        if state.gathering.due <= now:
            state.gathering.release(now)
        if self._hints.due <= now and (hinted := self._hints.release(now)):
            log.info("Checking %d shipments of account %s early, because of webhooks", hinted, self.sender.account)
        if self._list_publisher.next_at <= now and not self._waits_come_next:
            self._waits_come_next = True
            await self._list_publisher.publish_due(now)
            return
        self._waits_come_next = False  # lists that are always due must not keep waits from their own calls
        due = await state.find_due(now)
        retry_at = state.retries.next_at
        if due.shipments and (retry_at > now or not self._should_retry(due, now)):
            self._calls_since_retry += 1
            await self._check(due, now)
        elif retry_at <= now:
            self._calls_since_retry = 0
            await self._number_checks.retry(now)
        elif self._list_publisher.next_at > now:
            state.health.record_idle()
            await self._sleep_until(
                min(due.next_at, retry_at, state.gathering.due, self._hints.due, self._list_publisher.next_at)
            )

    def _should_retry(self, due: Due, now: float) -> bool:
        """Give every fifth call to the retry queue. Its last checks at a deadline do not wait for ordinary checks."""
        if self._calls_since_retry >= CALLS_PER_RETRY:
            return True
        has_last_checks = any(shipment.wants_full_check for shipment in due.shipments)
        return self._state.retries.has_last_checks(now) and not has_last_checks

    async def _check(self, due: Due, now: float) -> None:
        """Check what is due, or the most urgent part of it."""
        self._observer.timing("waits.late", max(now - min(shipment.due_at for shipment in due.shipments), 0.0))
        chosen = self._state.lists.plan(due, now)
        if chosen.by_change and due.listable:
            await self._list_checks.check_changes(due)
        elif chosen.by_list and due.listable:
            await self._list_checks.check_everything(due, chosen.max_list_calls, now)
        else:
            await self._number_checks.check_most_urgent(due, now)

    async def _sleep_until(self, wake_at: float) -> None:
        """Sleep until a time of the event loop, or until something else is due earlier."""
        self._sleeps_until = wake_at
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(None if math.isinf(wake_at) else wake_at):
                    await self._wake.wait()
        finally:
            self._sleeps_until = math.inf
