"""What a poller knows: its waits, their shipments, what is due again, and how the account is doing."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from airflow_provider_trackingmore.waiting.cooperative import in_slices
from airflow_provider_trackingmore.waiting.health import AccountHealth
from airflow_provider_trackingmore.waiting.lists import KnownLists
from airflow_provider_trackingmore.waiting.registry import Registry
from airflow_provider_trackingmore.waiting.retries import RetryQueue
from airflow_provider_trackingmore.waiting.schedule import Due, Gathering

SCANNED_PER_SLICE = 2000


@dataclass(eq=False)
class PollerState:
    """The state of one poller.

    :param rng: for the jitter of back-offs.
    :param registry: the waits and their shipments.
    :param gathering: newcomers whose first check waits for others to join.
    :param retries: what must be called again.
    :param health: whether calls succeed.
    :param lists: what is known of the account's lists.
    """

    rng: random.Random
    registry: Registry = field(default_factory=Registry)
    gathering: Gathering = field(default_factory=Gathering)
    retries: RetryQueue = field(default_factory=RetryQueue)
    lists: KnownLists = field(default_factory=KnownLists)
    health: AccountHealth = field(init=False)

    def __post_init__(self) -> None:
        self.health = AccountHealth(self.rng)

    async def find_due(self, now: float) -> Due:
        """Find out what is due.

        :param now: seconds of the event loop.
        """
        due = Due()
        async for shipments in in_slices(list(self.registry.shipments.values()), SCANNED_PER_SLICE):
            due.add(shipments, now, self.lists.changes_checked_at)
        return due
