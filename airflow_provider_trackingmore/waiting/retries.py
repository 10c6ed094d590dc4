"""Shipments that are left out of the ordinary checks because their call failed or a response did not contain them."""

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
"""The hold of a shipment that an answer has left out, until ``GET`` by number confirms that it is missing."""


@dataclass(eq=False, slots=True)
class FailedGroup:
    """Shipments whose call failed: they are kept out of the others' calls until they have been checked again.

    :param shipments: the shipments.
    :param retry_at: seconds of the event loop.
    :param failures: how often the single shipment, or this whole group because the service was down, has failed.
    """

    shipments: Sequence[WatchedShipment]
    retry_at: float
    failures: int = 1

    @property
    def open(self) -> list[WatchedShipment]:
        """Those that somebody still waits for and that nothing has checked meanwhile."""
        return [shipment for shipment in self.shipments if shipment.hold is self and shipment.subscribers]

    def hold(self) -> None:
        """Keep the shipments out of the others' calls."""
        for shipment in self.shipments:
            shipment.hold = self

    def retry_by(self, moment: float) -> None:
        """Retry the group no later than at a moment.

        :param moment: seconds of the event loop.
        """
        self.retry_at = min(self.retry_at, moment)

    def split(self, retry_at: float) -> list[FailedGroup]:
        """Halve the group, so that one bad number is found; a single shipment stays and counts one more failure.

        :param retry_at: seconds of the event loop.
        """
        if len(self.shipments) == 1:
            return [FailedGroup(self.shipments, retry_at, self.failures + 1)]
        self.hold()
        shipments = self.open
        middle = (len(shipments) + 1) // 2
        return [FailedGroup(half, retry_at) for half in (shipments[:middle], shipments[middle:]) if half]


class RetryQueue:
    """What must be called again: failed groups at their time, and unconfirmed shipments one by one."""

    def __init__(self) -> None:
        self._groups: list[FailedGroup] = []
        self._unconfirmed: dict[WatchedShipment, None] = {}

    @property
    def next_at(self) -> float:
        """When the next call can be made, in seconds of the event loop; infinity: there is none to make."""
        if self._unconfirmed:
            return -math.inf
        return min((group.retry_at for group in self._groups), default=math.inf)

    def add(self, group: FailedGroup, retry_at: float) -> None:
        """Retry a group later.

        :param group: the group.
        :param retry_at: seconds of the event loop.
        """
        group.retry_at = retry_at
        group.hold()
        self._groups.append(group)

    def take_due_group(self, now: float) -> FailedGroup | None:
        """Remove and return the group that has been due for longest.

        :param now: seconds of the event loop.
        """
        group = min(self._groups, key=lambda group: group.retry_at, default=None)
        if group is None or group.retry_at > now:
            return None
        self._groups.remove(group)
        return group

    def add_unconfirmed(self, shipment: WatchedShipment) -> None:
        """An answer has left a shipment out: have it confirmed.

        :param shipment: the shipment.
        """
        shipment.hold = UNCONFIRMED
        self._unconfirmed[shipment] = None

    def next_unconfirmed(self) -> WatchedShipment | None:
        """Return the shipment to confirm next; those of a last check at a deadline come first."""
        for shipment in [one for one in self._unconfirmed if not one.subscribers or one.hold is not UNCONFIRMED]:
            del self._unconfirmed[shipment]  # nobody waits for it any more, or something else has checked it
        urgent = (shipment for shipment in self._unconfirmed if shipment.wants_full_check)
        return next(urgent, None) or next(iter(self._unconfirmed), None)

    def discard_unconfirmed(self, shipment: WatchedShipment) -> bool:
        """A shipment needs no confirmation any more.

        :param shipment: the shipment.
        :return: whether it needed one before.
        """
        if shipment not in self._unconfirmed:
            return False
        del self._unconfirmed[shipment]
        return True
