"""Record the rows of responses, and notify the waits that have not received them yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS
from airflow_provider_trackingmore.waiting.cooperative import ITEMS_PER_SLICE, cooperatively, in_slices
from airflow_provider_trackingmore.waiting.observation import NOT_REGISTERED, Observation
from airflow_provider_trackingmore.waiting.registry import Subscription, WatchedShipment
from airflow_provider_trackingmore.waiting.responses import ObservedPage
from airflow_provider_trackingmore.waiting.state import PollerState

GOLDEN_RATIO = 0.618033988749895


class Recorder:
    """Records the checks of one poller.

    :param state: the state of the poller.
    :param clock: event loop time in seconds.
    :param wall_clock: Unix seconds.
    """

    def __init__(self, state: PollerState, clock: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock
        self._wall_clock = wall_clock
        self._spread = 0.0

    async def record_page(self, page: ObservedPage, *, spread: bool = False) -> None:
        """Record the rows of one response, and notify each affected wait once.

        :param page: the response.
        :param spread: whether to spread the next full checks over ``reconcile_seconds``, so that those of a large
            account are not all due at once.
        """
        at = self._clock()
        updated_at = [row.updated for row in page.rows if row.updated is not None]
        created_at = [row.created for row in page.rows if row.created is not None]
        self._state.lists.cursor.note(updated_at, created_at, at=at, now=self._wall_clock())
        share = self._next_share() if spread else 1.0
        updated: dict[Subscription, None] = {}
        async for rows in in_slices(page.rows, ITEMS_PER_SLICE):
            for row in rows:
                shipment = self._state.registry.shipments.get(row.key)
                if shipment is not None and row.observed is not None:
                    shipment.unlisted = False
                    for subscription in self._record(shipment, row.observed, row.created, at=at, share=share):
                        updated[subscription] = None
        async for subscription in cooperatively(list(updated)):
            subscription.notify()

    def record_unknown(self, shipment: WatchedShipment, requested_by: Collection[Subscription]) -> None:
        """Record that the vendor does not know a shipment.

        :param shipment: the shipment.
        :param requested_by: the waits that had subscribed when the call was sent. Those that subscribed later may have
            registered the shipment in the meantime: it is checked again for them.
        """
        at = self._clock()
        late_subscribers = [subscription for subscription in shipment.subscribers if subscription not in requested_by]
        for subscription in late_subscribers:
            del shipment.subscribers[subscription]
        for subscription in self._record(shipment, NOT_REGISTERED, None, at=at):
            subscription.notify()
        for subscription in late_subscribers:
            shipment.subscribers[subscription] = 0
            shipment.wanted_at = at

    def _record(
        self, shipment: WatchedShipment, observed: Observation, created: float | None, *, at: float, share: float = 1.0
    ) -> list[Subscription]:
        """Record a full check.

        :return: the waits to notify.
        """
        if shipment.observed is not None:
            share = 1.0
        shipment.checked_at = shipment.fully_checked_at = at
        shipment.full_check_due = at + shipment.reconcile_seconds * share
        shipment.wanted_at, shipment.wants_full_check, shipment.hold = math.inf, False, None
        shipment.created = created if created is not None else shipment.created
        self._state.gathering.shipments.pop(shipment, None)
        if observed != shipment.observed:
            shipment.observed = observed
            shipment.revision += 1
        return self._state.registry.publish(shipment)

    def _next_share(self) -> float:
        """Return after which share of ``reconcile_seconds`` the shipments of a call need their next full check."""
        if len(self._state.registry.shipments) <= FILTER_NUMBERS:
            return 1.0
        self._spread = (self._spread + GOLDEN_RATIO) % 1.0
        return 1.0 - 0.9 * self._spread
