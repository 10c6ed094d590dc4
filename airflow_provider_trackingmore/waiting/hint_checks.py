"""Hints: shipments that may have changed, for instance because a webhook has named them. They are checked early.

Anybody may send hints, so their cost is limited. Only shipments with subscribers are checked: each at most once in
:data:`SECONDS_PER_SHIPMENT`, in batches at least :data:`SECONDS_PER_BATCH` apart, and a limited number per minute.
Shipments beyond that are checked later. Hints end no back-off and no cool-down.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.list_subscriptions import ListSubscription
from airflow_provider_trackingmore.waiting.registry import WatchedShipment
from airflow_provider_trackingmore.waiting.state import PollerState

GATHER_SECONDS = 0.2
"""How long to wait for further hints, so that they share a call."""
SECONDS_PER_BATCH = 2.0
"""The minimum time between two batches: at one request per second, every other call is for something else."""
SECONDS_PER_SHIPMENT = 30.0
SECONDS_PER_LIST = 30.0
"""The minimum time between two checks because of hints: of one shipment, and of the lists for one watcher."""
UNCLAIMED_SECONDS = 60.0
MAX_UNCLAIMED = 1000
"""A hint may arrive after a task has checked on a worker and before its trigger subscribes. So hints about shipments
without subscribers are kept: for how long, and how many."""
MAX_HINTED = 400
"""How many hinted shipments are kept for each watcher."""
_MINUTE = 60.0


class HintChecks:
    """The hints of one poller. Times are those of the event loop, in seconds.

    :param state: the state of the poller.
    :param clock: event loop time in seconds.
    """

    def __init__(self, state: PollerState, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock
        self._pending: dict[WatchedShipment, float] = {}
        self._pending_due = math.inf
        self._unclaimed: OrderedDict[ShipmentKey, float] = OrderedDict()
        self._released: deque[float] = deque()
        self._next_batch_at = -math.inf
        self._per_minute = 1

    @property
    def due(self) -> float:
        """When the next batch must be released; infinity if there is none."""
        if not self._pending:
            return math.inf
        due = max(self._pending_due, self._next_batch_at)
        if len(self._released) >= self._per_minute:
            due = max(due, self._released[-self._per_minute] + _MINUTE)
        return due

    def add(self, keys: Iterable[ShipmentKey], per_minute: int) -> int:
        """Add hints. Those about shipments without subscribers are kept for waits that subscribe soon.

        :param keys: the shipments.
        :param per_minute: how many shipments may be checked per minute because of hints.
        :return: how many of the shipments have subscribers.
        """
        now = self._clock()
        self._per_minute = max(per_minute, 1)
        found = 0
        for key in keys:
            shipment = self._state.registry.shipments.get(key.normalized)
            if shipment is not None and shipment.subscribers:
                found += 1
                self._add(shipment, now)
                continue
            self._unclaimed[key.normalized] = now
            self._unclaimed.move_to_end(key.normalized)
            if len(self._unclaimed) > MAX_UNCLAIMED:
                self._unclaimed.popitem(last=False)
        return found

    def claim(self, shipment: WatchedShipment) -> None:
        """Use a hint that arrived shortly before a wait subscribed to the shipment.

        :param shipment: the shipment, which has just got a subscriber.
        """
        if self._unclaimed and (hinted_at := self._unclaimed.pop(shipment.normalized, None)) is not None:
            now = self._clock()
            if now - hinted_at < UNCLAIMED_SECONDS:
                self._add(shipment, now)

    def _add(self, shipment: WatchedShipment, now: float) -> None:
        due = max(now + GATHER_SECONDS, shipment.hinted_at + SECONDS_PER_SHIPMENT)
        self._pending.setdefault(shipment, due)
        self._pending_due = min(self._pending_due, due)

    def advance_lists(self, keys: Sequence[ShipmentKey]) -> None:
        """Read the lists early for every watcher whose last round succeeded.

        :param keys: the shipments. Those that a watcher knows are also checked by number, since the list of changes may
            leave them out.
        """
        at = self._clock() + GATHER_SECONDS
        for subscription in self._state.registry.list_subscriptions:
            if subscription.failures == 0:
                self._remember(subscription, keys)
                hint_due = max(at, subscription.hinted_at + SECONDS_PER_LIST)
                subscription.hint_due = min(subscription.hint_due, hint_due)

    @staticmethod
    def _remember(subscription: ListSubscription, keys: Iterable[ShipmentKey]) -> None:
        for key in keys:
            known = None if subscription.find_known is None else subscription.find_known(key.normalized)
            # The numbers filter splits at commas.
            if known is not None and "," not in known.tracking_number and len(subscription.hinted) < MAX_HINTED:
                subscription.hinted[key.normalized] = known

    def release(self, now: float) -> int:
        """Make as many pending shipments due as may be checked now.

        :param now: event loop time in seconds.
        :return: the number of shipments that are due.
        """
        while self._released and self._released[0] <= now - _MINUTE:
            self._released.popleft()
        self._next_batch_at = now + SECONDS_PER_BATCH
        released = 0
        for shipment, at in sorted(self._pending.items(), key=lambda item: item[1]):
            if at > now + GATHER_SECONDS or len(self._released) >= self._per_minute:
                break
            del self._pending[shipment]
            if not shipment.subscribers or shipment.hold is not None:  # a retry will check it
                continue
            shipment.wanted_at = min(shipment.wanted_at, now)
            shipment.wants_full_check = True
            shipment.hinted_at = now
            self._released.append(now)
            released += 1
        self._pending_due = min(self._pending.values(), default=math.inf)
        return released
