"""Subscriptions: which waits want which shipments, what is known of each, and which updates each wait has received."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.list_subscriptions import ListSubscription
from airflow_provider_trackingmore.waiting.notification import Notifiable
from airflow_provider_trackingmore.waiting.observation import Observation

NEVER = -math.inf


@dataclass(slots=True, eq=False)
class WatchedShipment:
    """A shipment with at least one subscriber. Times are those of the event loop.

    :param key: the spelling to request it with.
    :param normalized: its key in the registry.
    :param subscribers: each wait for it -> the revision that it has received; 0 if none yet.
    :param observed: the newest state; None before the first check.
    :param revision: counts the changes of ``observed``.
    :param checked_at: the last check of any kind.
    :param fully_checked_at: the last check by number or list.
    :param full_check_due: the latest time for the next check by number or list.
    :param wanted_at: the time of a check outside of the schedule; infinity if none is wanted.
    :param due_at: when its next check was due, as last computed.
    :param wants_full_check: whether the check at ``wanted_at`` must not rely on the list of changes.
    :param created: Unix seconds of its registration by the vendor's clock, if known.
    :param poke_interval: the shortest of its subscribers.
    :param reconcile_seconds: the shortest of its subscribers.
    :param intervals_outdated: whether a subscriber that may have had the shortest ones has left.
    :param hold: what keeps it out of the ordinary checks: a group of failed calls, or a pending confirmation.
    :param unlisted: whether the vendor knows it by number, but leaves it out of its lists.
    :param list_again_at: the list of everything has left it out, and is expected to do so until this time.
    :param hinted_at: the last check because of a hint.
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
    intervals_outdated: bool = False
    hold: object | None = None
    unlisted: bool = False
    list_again_at: float = NEVER
    hinted_at: float = NEVER

    def update_intervals(self) -> None:
        """Use the shortest intervals of the current subscribers.

        It is done once before the next check, not whenever one of a shipment's thousands of subscribers leaves.
        """
        self.intervals_outdated = False
        self.poke_interval = min((wait.poke_interval for wait in self.subscribers), default=math.inf)
        self.reconcile_seconds = min((wait.reconcile_seconds for wait in self.subscribers), default=math.inf)

    @property
    def is_registered(self) -> bool:
        """Whether it is registered and appears in lists, so that the list of changes can confirm its state."""
        return self.observed is not None and self.observed.status is not None and not self.unlisted

    def record_unchanged(self) -> None:
        """Record that the list of changes was read. A check is then no longer wanted, unless it must be a full one."""
        if self.is_registered and not self.wants_full_check:
            self.wanted_at = math.inf

    @property
    def is_settling(self) -> bool:
        """Whether each check must be a full one, because a wait measures how long it has been seen as arrived."""
        for wait in self.subscribers:  # noqa: SIM110 - a generator for each of 10,000 shipments takes longer
            if wait.settling and self.normalized in wait.settling:
                return True
        return False


class Subscription(Notifiable):
    """The subscription of one wait. Use it in a ``with`` block, which closes it.

    :param poke_interval: maximum seconds between two checks.
    :param reconcile_seconds: maximum seconds between two full checks.
    :param unsubscribe: called with the subscription, the shipments that it no longer wants, and whether it ends.
    :param is_wait: False if it belongs to a subscription to lists, for shipments that the lists leave out.
    """

    __slots__ = (
        "_awaiting",
        "_closed",
        "_pending",
        "_unsubscribe",
        "count_statuses",
        "is_wait",
        "poke_interval",
        "reconcile_seconds",
        "settling",
        "shipments",
        "trigger_id",
    )

    def __init__(
        self,
        poke_interval: float,
        reconcile_seconds: float,
        unsubscribe: Callable[[Subscription, Iterable[ShipmentKey], bool], None],
        is_wait: bool = True,
    ) -> None:
        super().__init__()
        self.trigger_id: int | None = None
        """The id of the deferred task's trigger, for reports of its progress; None if there is none."""
        self.count_statuses: Callable[[], Mapping[str, int]] | None = None
        """Counts the shipments of the wait by status, closed ones included."""
        self.is_wait = is_wait
        self.poke_interval = poke_interval
        self.reconcile_seconds = reconcile_seconds
        self.shipments: dict[ShipmentKey, None] = {}
        self.settling: set[ShipmentKey] = set()
        self._awaiting: set[ShipmentKey] = set()
        self._unsubscribe = unsubscribe
        self._pending: dict[ShipmentKey, Observation] = {}
        self._closed = False

    def close(self) -> None:
        """Unsubscribe from everything. This may be called repeatedly."""
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

        :param seconds: how long to wait; None for no limit.
        :return: normalized key -> newest state, for each updated shipment; None on a timeout.
        :raises TrackingMoreError: if TrackingMore refuses the account, for instance because of a wrong key.
        """
        if not self._pending and self._error is None and not await self._wait(seconds):
            return None
        if self._pending:
            pending, self._pending = self._pending, {}
            return pending
        if self._error is not None:
            raise self._error
        return {}

    def await_full_check(self) -> None:
        """Request an update from the next full check of every shipment, whether or not its state changes."""
        self._awaiting = set(self.shipments)

    @property
    def awaits_full_check(self) -> bool:
        """Whether a requested full check of some shipment is still outstanding."""
        return bool(self._awaiting)

    def wants(self, shipment: WatchedShipment) -> bool:
        """Tell whether this wait must receive the result of a full check.

        :param shipment: the shipment that was checked.
        """
        key = shipment.normalized
        return shipment.subscribers.get(self) != shipment.revision or key in self.settling or key in self._awaiting

    def add_update(self, shipment: WatchedShipment, *, full: bool) -> None:
        """Add an update, which is delivered on :meth:`notify`.

        :param shipment: the shipment that was checked, with its newest state.
        :param full: whether it was a full check.
        """
        if shipment.observed is not None:
            self._pending[shipment.normalized] = shipment.observed
        if full:
            self._awaiting.discard(shipment.normalized)


class Registry:
    """All shipments with subscribers, by normalized key, and all subscriptions.

    ``waits`` is the number of the subscriptions that belong to waits.
    """

    def __init__(self) -> None:
        self.shipments: dict[ShipmentKey, WatchedShipment] = {}
        self.subscriptions: dict[Subscription, None] = {}
        self.waits = 0
        self.list_subscriptions: dict[ListSubscription, None] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing has subscribed."""
        return not self.subscriptions and not self.list_subscriptions

    def open(self, subscription: Subscription) -> None:
        """Register a new subscription, before its shipments are added.

        :param subscription: the subscription.
        """
        self.subscriptions[subscription] = None
        self.waits += subscription.is_wait

    def close(self, subscription: Subscription) -> None:
        """Forget a subscription, after its shipments were removed.

        :param subscription: the subscription.
        """
        del self.subscriptions[subscription]
        self.waits -= subscription.is_wait

    def add(self, subscription: Subscription, normalized: ShipmentKey, key: ShipmentKey) -> WatchedShipment:
        """Subscribe to one shipment.

        :param subscription: the subscription.
        :param normalized: the shipment, normalized.
        :param key: the shipment as the user spells it.
        :return: the shipment.
        """
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
        """Unsubscribe from some shipments, and forget those without subscribers.

        :param subscription: the subscription.
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
                shipment.intervals_outdated = True

    def publish_to(self, subscription: Subscription, shipment: WatchedShipment) -> None:
        """Publish the newest state to one subscriber. For others, with shorter intervals, it may be too old.

        :param subscription: the subscriber.
        :param shipment: a shipment that has been checked.
        """
        subscription.add_update(shipment, full=False)
        shipment.subscribers[subscription] = shipment.revision

    def publish_known(self, shipment: WatchedShipment) -> list[Subscription]:
        """Publish the newest state, which the list of changes has confirmed, to subscribers that do not have it yet.

        :param shipment: a shipment that was due when the list was read.
        :return: the subscribers to notify.
        """
        if not shipment.is_registered:
            return []
        outdated = [wait for wait, received in shipment.subscribers.items() if received != shipment.revision]
        for subscription in outdated:
            self.publish_to(subscription, shipment)
        return outdated

    def publish(self, shipment: WatchedShipment) -> list[Subscription]:
        """Publish the newest state to every subscriber that wants it.

        :param shipment: a shipment that has just been checked fully.
        :return: the subscribers to notify.
        """
        interested = [subscriber for subscriber in shipment.subscribers if subscriber.wants(shipment)]
        for subscription in interested:
            subscription.add_update(shipment, full=True)
            shipment.subscribers[subscription] = shipment.revision
        return interested
