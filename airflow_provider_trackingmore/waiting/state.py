"""The state of a poller: its waits, their shipments, the schedule, and the health of the account."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from airflow_provider_trackingmore.waiting.cooperative import in_slices
from airflow_provider_trackingmore.waiting.health import AccountHealth
from airflow_provider_trackingmore.waiting.known_lists import KnownLists
from airflow_provider_trackingmore.waiting.registry import Registry
from airflow_provider_trackingmore.waiting.retries import RetryQueue
from airflow_provider_trackingmore.waiting.schedule import Due, Gathering

SLICE_SIZE = 2000


@dataclass(eq=False)
class PollerState:
    """The state of one poller.

    :param rng: for the jitter of back-offs.
    :param registry: the waits and their shipments.
    :param gathering: new shipments whose first check is delayed until others have joined.
    :param retries: the calls to retry.
    :param health: whether calls succeed.
    :param lists: how long the account's lists are, and when they may be requested.
    :param nothing_overdue_until: no shipment becomes overdue before this event loop time.
    """

    rng: random.Random
    registry: Registry = field(default_factory=Registry)
    gathering: Gathering = field(default_factory=Gathering)
    retries: RetryQueue = field(default_factory=RetryQueue)
    lists: KnownLists = field(default_factory=KnownLists)
    nothing_overdue_until: float = -math.inf
    health: AccountHealth = field(init=False)

    def __post_init__(self) -> None:
        self.health = AccountHealth(self.rng)

    async def find_due(self, now: float) -> Due:
        """Find the shipments that are due.

        :param now: event loop time in seconds.
        """
        due = Due()
        self.nothing_overdue_until = math.inf
        async for shipments in in_slices(list(self.registry.shipments.values()), SLICE_SIZE):
            due.add(shipments, now, self.lists.changes_checked_at)
        # There may be new subscriptions since the scan began.
        self.nothing_overdue_until = min(self.nothing_overdue_until, due.nothing_overdue_until(now))
        return due
