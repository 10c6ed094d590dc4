"""Subscriptions: which waits want which shipments, what is known of each, and what each wait has received."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.observation import Observation

NEVER = -math.inf


@dataclass(slots=True, eq=False)
class WatchedShipment:
    """One shipment that somebody waits for. Times are those of the event loop.

    :param key: the spelling to ask with.
    :param normalized: the key of the registry.
    :param subscribers: who waits for it -> the revision each has received; 0: none yet.
    :param observed: the newest state; None before the first check.
    :param revision: counts the states that differ from the one before.
    :param checked_at: the last check of any kind.
    :param fully_checked_at: the last check by number or list.
    :param full_check_due: when the next one must have happened.
    :param wanted_at: when somebody wants a check outside of the schedule; infinity: nobody does.
    :param due_at: when it was due, as of the last time that this was found out.
    :param wants_full_check: whether that check must not rely on the list of changes.
    :param created: unix seconds of its registration by the vendor's clock, if known.
    :param poke_interval: the shortest of its subscribers.
    :param reconcile_seconds: the shortest of its subscribers.
    :param hold: what keeps it out of the ordinary checks: a group of failed calls, a pending confirmation.
    :param unlisted: the vendor knows it by number, but its lists leave it out.
    :param list_again_at: until then it is not looked for in the list of everything, which did not show it.
    """

    key: ShipmentKey
    normalized: ShipmentKey
    subscribers: dict[Subscription, int] = field(default_factory=dict)
    observed: Observation | None = None
    revision: int = 0
    checked_at: float = NEVER
    fully_checked_at: float = NEVER
    full_check_due: float = NEVER
    wanted_at: float = math.inf
    due_at: float = math.inf
    wants_full_check: bool = False
    created: float | None = None
    poke_interval: float = math.inf
    reconcile_seconds: float = math.inf
    hold: object | None = None
    unlisted: bool = False
    list_again_at: float = NEVER

    def update_intervals(self) -> None:
        """Take the shortest intervals of those who wait for it now."""
        self.poke_interval = min((wait.poke_interval for wait in self.subscribers), default=math.inf)
        self.reconcile_seconds = min((wait.reconcile_seconds for wait in self.subscribers), default=math.inf)

    def record_unchanged(self) -> None:
        """Take in that the list of changes was read: nobody wants a check any more, unless it must be a full one."""
        if self.observed is not None and not self.unlisted and not self.wants_full_check:
            self.wanted_at = math.inf

    @property
    def is_settling(self) -> bool:
        """Whether each check must be a full one, because a wait counts for how long it has been seen arrived."""
        for wait in self.subscribers:  # noqa: SIM110 - a generator for each of 10,000 shipments takes longer
            if wait.settling and self.normalized in wait.settling:
                return True
        return False


class Subscription:
    """One wait's subscription. Use it in a ``with`` block: leaving it unsubscribes, however it ends.

    :param poke_interval: seconds between two checks, at most.
    :param reconcile_seconds: seconds between two full checks, at most.
    :param unsubscribe: called with the shipments that are not wanted any more, and whether that is the end.
    """

    __slots__ = (
        "_awaiting",
        "_closed",
        "_error",
        "_pending",
        "_unsubscribe",
        "_waiter",
        "poke_interval",
        "reconcile_seconds",
        "settling",
        "shipments",
    )

    def __init__(
        self,
        poke_interval: float,
        reconcile_seconds: float,
        unsubscribe: Callable[[Subscription, Iterable[ShipmentKey], bool], None],
    ) -> None:
        self.poke_interval = poke_interval
        self.reconcile_seconds = reconcile_seconds
        self.shipments: dict[ShipmentKey, None] = {}
        self.settling: set[ShipmentKey] = set()
        self._awaiting: set[ShipmentKey] = set()
        self._unsubscribe = unsubscribe
        self._pending: dict[ShipmentKey, Observation] = {}
        self._error: TrackingMoreError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unsubscribe from everything."""
        if not self._closed:
            self._closed = True
            shipments, self.shipments = self.shipments, {}
            self._unsubscribe(self, shipments, True)

    def drop(self, keys: Iterable[ShipmentKey]) -> None:
        """Unsubscribe from some shipments.

        :param keys: the shipments, normalized.
        """
        dropped = [key for key in keys if key in self.shipments]
        for key in dropped:
            del self.shipments[key]
            self.settling.discard(key)
            self._awaiting.discard(key)
            self._pending.pop(key, None)
        if dropped:
            self._unsubscribe(self, dropped, False)

    async def updates(self, seconds: float | None) -> Mapping[ShipmentKey, Observation] | None:
        """Wait for the next updates.

        :param seconds: how long to wait at most; None: for as long as it takes.
        :return: the newest state of each shipment (normalized) with news; None when the time is up first.
        :raises TrackingMoreError: when the account cannot be asked any more (a wrong key, say).
        """
        if not self._pending and self._error is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(seconds):
                    await self._waiter
            except TimeoutError:
                return None
            finally:
                self._waiter = None
        if self._pending:
            pending, self._pending = self._pending, {}
            return pending
        if self._error is not None:
            raise self._error
        return {}

    def await_full_check(self) -> None:
        """Ask for the next full check of every shipment, changed or not."""
        self._awaiting = set(self.shipments)

    @property
    def awaits_full_check(self) -> bool:
        """Whether a full check that was asked for is still missing for some shipment."""
        return bool(self._awaiting)

    def wants(self, shipment: WatchedShipment) -> bool:
        """Tell whether a full check of a shipment is news here.

        :param shipment: what was checked.
        """
        key = shipment.normalized
        return shipment.subscribers.get(self) != shipment.revision or key in self.settling or key in self._awaiting

    def add_update(self, shipment: WatchedShipment, *, full: bool) -> None:
        """Put an update aside until :meth:`notify`.

        :param shipment: what was checked, with its newest state.
        :param full: whether it was a full check.
        """
        if shipment.observed is not None:
            self._pending[shipment.normalized] = shipment.observed
        if full:
            self._awaiting.discard(shipment.normalized)

    def fail(self, error: TrackingMoreError) -> None:
        """End the subscription with an error, after the updates that are pending.

        :param error: why the account cannot be asked any more.
        """
        self._error = error
        self.notify()

    def notify(self) -> None:
        """Wake whoever waits for updates."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Registry:
    """All shipments that somebody waits for, by normalized key."""

    def __init__(self) -> None:
        self.shipments: dict[ShipmentKey, WatchedShipment] = {}
        self.subscriptions: dict[Subscription, None] = {}

    def add(self, subscription: Subscription, key: ShipmentKey) -> WatchedShipment:
        """Subscribe to one shipment.

        :param subscription: who wants it.
        :param key: the shipment as the user spells it.
        :return: the shipment.
        """
        normalized = key.normalized
        shipment = self.shipments.get(normalized)
        if shipment is None:
            shipment = self.shipments[normalized] = WatchedShipment(key, normalized)
        shipment.subscribers[subscription] = 0
        shipment.poke_interval = min(shipment.poke_interval, subscription.poke_interval)
        shipment.reconcile_seconds = min(shipment.reconcile_seconds, subscription.reconcile_seconds)
        shipment.full_check_due = min(
            shipment.full_check_due, shipment.fully_checked_at + subscription.reconcile_seconds
        )
        subscription.shipments[normalized] = None
        return shipment

    def remove(self, subscription: Subscription, keys: Iterable[ShipmentKey]) -> None:
        """Unsubscribe from some shipments; one that nobody wants any more is forgotten.

        :param subscription: who wanted them.
        :param keys: the shipments, normalized.
        """
        for key in keys:
            shipment = self.shipments.get(key)
            if shipment is None or shipment.subscribers.pop(subscription, None) is None:
                continue
            if not shipment.subscribers:
                del self.shipments[key]
            elif (
                subscription.poke_interval <= shipment.poke_interval
                or subscription.reconcile_seconds <= shipment.reconcile_seconds
            ):
                shipment.update_intervals()

    def publish_to(self, subscription: Subscription, shipment: WatchedShipment) -> None:
        """Put the newest state aside for one subscriber; for others, with shorter intervals, it may be too old.

        :param subscription: who gets it.
        :param shipment: a shipment that has been checked.
        """
        subscription.add_update(shipment, full=False)
        shipment.subscribers[subscription] = shipment.revision

    def publish(self, shipment: WatchedShipment) -> list[Subscription]:
        """Put the newest state aside for every subscriber that has not had it.

        :param shipment: what has just been checked fully.
        :return: the subscribers to notify.
        """
        interested = [subscriber for subscriber in shipment.subscribers if subscriber.wants(shipment)]
        for subscription in interested:
            subscription.add_update(shipment, full=True)
            shipment.subscribers[subscription] = shipment.revision
        return interested
