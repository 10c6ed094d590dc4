"""One polling loop per account, process and event loop: it makes the calls that schedule and planner choose.

Waits subscribe with their shipments and receive what concerns them. The loop makes one call at a time and decides again
before each, so that nobody waits for a long series of calls to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable, Iterable, Sequence

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.observer import Observer
from airflow_provider_trackingmore.waiting.cooperative import cooperatively
from airflow_provider_trackingmore.waiting.failure_handling import FailureHandler
from airflow_provider_trackingmore.waiting.list_checks import ListChecks
from airflow_provider_trackingmore.waiting.number_checks import NumberChecks
from airflow_provider_trackingmore.waiting.recorder import Recorder
from airflow_provider_trackingmore.waiting.registry import Subscription
from airflow_provider_trackingmore.waiting.retries import FailedGroup
from airflow_provider_trackingmore.waiting.schedule import Due
from airflow_provider_trackingmore.waiting.sender import Sender
from airflow_provider_trackingmore.waiting.state import PollerState

log = logging.getLogger(__name__)

LAST_CHECK_GATHER_SECONDS = 0.3
"""Waits with one deadline share their last check."""
CALLS_PER_RETRY = 5
"""While shipments are due without a break, every fifth call is made for the retry queue."""


class Poller:
    """The polling loop of one account. The first subscription starts it, the last one to leave ends it.

    :param sender: sends the calls; closed with the loop.
    :param wall_clock: unix seconds.
    :param rng: for the jitter of back-offs.
    :param observer: receives metrics.
    :param on_change: called with the poller when a wait has subscribed or unsubscribed.
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
        self._clock = clock = asyncio.get_running_loop().time
        self._state = state = PollerState(rng)
        self._failures = failures = FailureHandler(state, sender.account, clock, observer)
        recorder = Recorder(state, clock, wall_clock)
        self._numbers = NumberChecks(sender, state, recorder, failures, clock, wall_clock)
        self._lists = ListChecks(sender, state, recorder, failures, self._numbers, clock, wall_clock)
        self._calls_since_retry = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def subscriptions(self) -> int:
        """How many waits have subscribed."""
        return len(self._state.registry.subscriptions)

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
        self._state.registry.subscriptions[subscription] = None
        try:
            async for key in cooperatively(shipments):
                self._add(subscription, key, first_check_in)
        except BaseException:
            subscription.close()
            raise
        self._on_change(self)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="trackingmore-poller")
            self._observer.gauge("waits.failed_polls", 0)
        self._wake.set()
        return subscription

    def check_at_deadline(self, subscription: Subscription) -> None:
        """Check all shipments of a subscription once more, fully, before anything else and despite earlier failures.

        :param subscription: its ``awaits_full_check`` tells when that is done.
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
        self._wake.set()

    def _add(self, subscription: Subscription, key: ShipmentKey, first_check_in: float | None) -> None:
        now = self._clock()
        shipment = self._state.registry.add(subscription, key)
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
        self._state.registry.subscriptions.pop(subscription, None)
        if not self._state.registry.subscriptions:
            if self._task is not None:
                self._task.cancel()
                self._task = None
            self.sender.close()
        self._on_change(self)

    async def _run(self) -> None:
        try:
            while True:
                await self._step()
        except Exception as error:  # a bug must end the waits with a reason, not leave them waiting for ever
            log.exception("The poller of account %s failed", self.sender.account)
            self._task = None  # a wait that subscribes before the others have left starts a new loop
            self._failures.fail_all(TrackingMoreError(f"the poller failed: {type(error).__name__}"))

    async def _step(self) -> None:
        """Make the next call, or sleep until there is one to make."""
        self._wake.clear()
        state = self._state
        now = self._clock()
        if now < state.health.paused_until:
            await self._sleep_until(state.health.paused_until)
            return
        if state.gathering.due <= now:
            state.gathering.release(now)
        due = await state.find_due(now)
        retry_at = state.retries.next_at
        if due.shipments and (retry_at > now or self._calls_since_retry < CALLS_PER_RETRY):
            self._calls_since_retry += 1
            await self._check(due, now)
        elif retry_at <= now:
            self._calls_since_retry = 0
            await self._numbers.retry(now)
        else:
            state.health.record_idle()
            await self._sleep_until(min(due.next_at, retry_at, state.gathering.due))

    async def _check(self, due: Due, now: float) -> None:
        """Check what is due, or the most urgent of it."""
        self._observer.timing("waits.late", max(now - min(shipment.due_at for shipment in due.shipments), 0.0))
        chosen = self._state.lists.plan(due, now)
        if chosen.by_change and due.listable:
            await self._lists.check_changes(due)
        elif chosen.by_list and due.listable:
            await self._lists.check_everything(due, chosen.max_list_calls, now)
        else:
            await self._numbers.check_most_urgent(due, now)

    async def _sleep_until(self, moment: float) -> None:
        """Sleep until a moment, or until somebody has subscribed or wants a last check."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(None if math.isinf(moment) else moment):
                await self._wake.wait()
