"""Shipments that are excluded from ordinary checks because their call failed or a response did not contain them."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from airflow_provider_trackingmore.waiting.registry import WatchedShipment


class _Hold(enum.Enum):
    UNCONFIRMED = enum.auto()


UNCONFIRMED: Final = _Hold.UNCONFIRMED
"""The hold of a shipment that a response has omitted, until a ``GET`` by its path confirms that it is missing."""


@dataclass(eq=False, slots=True)
class FailedGroup:
    """Shipments whose call failed. They are excluded from other calls until they have been checked again.

    :param shipments: the shipments.
    :param retry_at: event loop time in seconds.
    :param failures: how often the call has failed, for a single shipment or while the service was down.
    """

    shipments: Sequence[WatchedShipment]
    retry_at: float
    failures: int = 1

    @property
    def open(self) -> list[WatchedShipment]:
        """The shipments that still have subscribers and have not been checked in the meantime."""
        return [shipment for shipment in self.shipments if shipment.hold is self and shipment.subscribers]

    @property
    def is_last_check(self) -> bool:
        """Whether any of them is due for a last check at a deadline."""
        return any(shipment.wants_full_check for shipment in self.shipments)

    def hold(self) -> None:
        """Exclude the shipments from other calls."""
        for shipment in self.shipments:
            shipment.hold = self

    def retry_by(self, latest: float) -> None:
        """Retry the group no later than this.

        :param latest: event loop time in seconds.
        """
        self.retry_at = min(self.retry_at, latest)

    def split(self, retry_at: float) -> list[FailedGroup]:
        """Halve the group to find the number that makes it fail; a single shipment counts one more failure.

        :param retry_at: event loop time in seconds.
        """
        if len(self.shipments) == 1:
            return [FailedGroup(self.shipments, retry_at, self.failures + 1)]
        self.hold()
        shipments = self.open
        middle = (len(shipments) + 1) // 2
        return [FailedGroup(half, retry_at) for half in (shipments[:middle], shipments[middle:]) if half]


class RetryQueue:
    """The calls to retry: failed groups once they are due, and unconfirmed shipments one by one."""

    def __init__(self) -> None:
        self._groups: list[FailedGroup] = []
        self._unconfirmed: dict[WatchedShipment, None] = {}
        self._confirms_next = False

    @property
    def next_at(self) -> float:
        """When the next call can be made, in event loop time; infinity if the queue is empty."""
        if self._unconfirmed:
            return -math.inf
        return min((group.retry_at for group in self._groups), default=math.inf)

    def has_last_checks(self, now: float) -> bool:
        """Tell whether a last check at a deadline can be made now.

        :param now: event loop time in seconds.
        """
        return any(shipment.wants_full_check for shipment in self._unconfirmed) or any(
            group.retry_at <= now and group.is_last_check for group in self._groups
        )

    def add(self, group: FailedGroup, retry_at: float) -> None:
        """Retry a group later.

        :param group: the group.
        :param retry_at: event loop time in seconds.
        """
        group.retry_at = retry_at
        group.hold()
        self._groups.append(group)

    def take_due_group(self, now: float) -> FailedGroup | None:
        """Remove and return the group that has been due the longest; None if none is, or if a confirmation comes first.

        Last checks at a deadline come first. Otherwise groups and confirmations alternate, so that many of one kind do
        not hold up the other.

        :param now: event loop time in seconds.
        """
        due = [group for group in self._groups if group.retry_at <= now]
        if not due:
            return None
        group = min(due, key=lambda group: (not group.is_last_check, group.retry_at))
        shipment = self.next_unconfirmed()
        if shipment is not None and (shipment.wants_full_check, self._confirms_next) > (group.is_last_check, False):
            self._confirms_next = False
            return None
        self._confirms_next = True
        self._groups.remove(group)
        return group

    def add_unconfirmed(self, shipment: WatchedShipment) -> None:
        """Queue the confirmation that a shipment, which a response has omitted, is not registered.

        :param shipment: the shipment.
        """
        shipment.hold = UNCONFIRMED
        self._unconfirmed[shipment] = None

    def next_unconfirmed(self) -> WatchedShipment | None:
        """Return the shipment to confirm next; last checks at a deadline come first."""
        for shipment in list(self._unconfirmed):
            if not shipment.subscribers or shipment.hold is not UNCONFIRMED:  # unsubscribed, or checked in another way
                del self._unconfirmed[shipment]
        urgent = (shipment for shipment in self._unconfirmed if shipment.wants_full_check)
        return next(urgent, None) or next(iter(self._unconfirmed), None)

    def discard_unconfirmed(self, shipment: WatchedShipment) -> bool:
        """Remove a shipment that no longer needs a confirmation.

        :param shipment: the shipment.
        :return: whether it needed one before.
        """
        if shipment not in self._unconfirmed:
            return False
        del self._unconfirmed[shipment]
        return True
