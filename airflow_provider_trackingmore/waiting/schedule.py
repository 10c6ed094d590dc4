"""Schedule checks: when each shipment is due, and which due shipments are checked first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import nsmallest

from airflow_provider_trackingmore.waiting.registry import WatchedShipment

JOIN_EARLY = 0.1
"""Shipments that will be due within this share of their interval are checked together with those due now."""
GATHER_SECONDS = 2.0
"""The first check begins once no wait has joined for this long, since a restart starts a thousand waits in seconds."""
MAX_GATHER_SECONDS = 60.0
"""The first check is delayed by no more than this, or an interval, even if waits still join."""


def next_check(shipment: WatchedShipment, changes_checked_at: float) -> float:
    """Return when a shipment must be checked next.

    :param shipment: the shipment.
    :param changes_checked_at: when the list of changes was last read to its end.
    :return: event loop time in seconds; infinity if it is on hold.
    """
    if shipment.hold is not None:
        return math.inf
    if shipment.observed is None:
        return shipment.wanted_at
    checked_at = shipment.checked_at
    if changes_checked_at > checked_at and not shipment.unlisted:
        checked_at = changes_checked_at
    at = checked_at + shipment.poke_interval
    if shipment.full_check_due < at:
        at = shipment.full_check_due
    return shipment.wanted_at if shipment.wanted_at < at else at


def needs_full_check(shipment: WatchedShipment, now: float) -> bool:
    """Tell whether the list of changes is not enough for a shipment that is due.

    :param shipment: the shipment.
    :param now: event loop time in seconds.
    """
    if shipment.observed is None:
        return True
    if shipment.wanted_at <= now and (shipment.wants_full_check or shipment.observed.status is None):
        return True
    early = JOIN_EARLY * shipment.reconcile_seconds
    if shipment.poke_interval < early:
        early = shipment.poke_interval
    return shipment.full_check_due <= now + early or shipment.is_settling


def is_overdue(shipment: WatchedShipment, now: float) -> bool:
    """Tell whether a shipment must be checked before the rest of a long list is read.

    :param shipment: a shipment that :meth:`Due.add` has found to be due.
    :param now: event loop time in seconds.
    """
    return shipment.wants_full_check or now - shipment.due_at > min(shipment.poke_interval, shipment.reconcile_seconds)


@dataclass(slots=True)
class Due:
    """The shipments that are due at one time, and figures about all shipments.

    :param shipments: the due shipments, each with its ``due_at``.
    :param stale: the due shipments that need a full check.
    :param next_at: when the next of the other shipments is due.
    :param overdue_at: when the first of the due shipments is :func:`overdue <is_overdue>`.
    :param oldest_created: Unix seconds of the earliest known registration among all shipments.
    :param oldest_check: the oldest of all shipments' last checks, without those that were never checked.
    :param number_rate: checks per second that all shipments need, if each check is by number.
    :param shortest_interval: the shortest interval of all shipments, in seconds.
    """

    shipments: list[WatchedShipment] = field(default_factory=list)
    stale: list[WatchedShipment] = field(default_factory=list)
    next_at: float = math.inf
    overdue_at: float = math.inf
    oldest_created: float = math.inf
    oldest_check: float = math.inf
    number_rate: float = 0.0
    shortest_interval: float = math.inf

    @property
    def listable(self) -> int:
        """How many of the due shipments appear in lists."""
        return sum(1 for shipment in self.shipments if not shipment.unlisted)

    def nothing_overdue_until(self, now: float) -> float:
        """Return a time before which no shipment becomes overdue, unless there are new subscriptions.

        A shipment that is checked in the meantime has its whole interval again, so it cannot be overdue before the
        shortest interval has passed.

        :param now: when the shipments were examined, in event loop time.
        :return: event loop time in seconds.
        """
        return min(self.overdue_at, self.next_at, now + self.shortest_interval)

    @property
    def created_since(self) -> float:
        """Unix seconds: no shipment was registered earlier, with a margin; 0 if that is unknown."""
        return max(self.oldest_created - 60.0, 0.0) if math.isfinite(self.oldest_created) else 0.0

    def add(self, shipments: Iterable[WatchedShipment], now: float, changes_checked_at: float) -> None:
        """Add those shipments that are due. Each step of a poller calls this for all shipments, so it must be fast.

        :param shipments: the shipments; those without subscribers are ignored.
        :param now: event loop time in seconds.
        :param changes_checked_at: when the list of changes was last read to its end.
        """
        for shipment in shipments:
            if not shipment.subscribers:
                continue
            if shipment.intervals_outdated:
                shipment.update_intervals()
            interval = shipment.poke_interval
            if shipment.reconcile_seconds < interval:
                interval = shipment.reconcile_seconds
            self.number_rate += 1 / interval
            if interval < self.shortest_interval:
                self.shortest_interval = interval
            if shipment.created is not None and shipment.created < self.oldest_created:
                self.oldest_created = shipment.created
            if shipment.observed is not None and not shipment.unlisted:
                checked_at = shipment.fully_checked_at
                if changes_checked_at > checked_at:
                    checked_at = changes_checked_at
                if checked_at < self.oldest_check:
                    self.oldest_check = checked_at
            at = next_check(shipment, changes_checked_at)
            if at > now + JOIN_EARLY * interval:
                if at < self.next_at:
                    self.next_at = at
                continue
            shipment.due_at = at
            self.shipments.append(shipment)
            overdue_at = now if shipment.wants_full_check else at + interval
            if overdue_at < self.overdue_at:
                self.overdue_at = overdue_at
            if needs_full_check(shipment, now):
                self.stale.append(shipment)


def most_urgent(due: Iterable[WatchedShipment], number: int, now: float) -> list[WatchedShipment]:
    """Choose the shipments to check first: last checks at a deadline, then those that are late by the most intervals.

    Lateness is measured in intervals, so that a wait with an interval of one second does not queue behind a thousand
    with an interval of half an hour.

    :param due: the due shipments, each with its ``due_at``.
    :param number: how many to choose, at most.
    :param now: event loop time in seconds.
    :return: the shipments, the most urgent first.
    """

    def urgency(shipment: WatchedShipment) -> tuple[bool, float]:
        interval = min(shipment.poke_interval, shipment.reconcile_seconds)
        return not shipment.wants_full_check, (shipment.due_at - now) / interval

    return nsmallest(number, due, key=urgency)


class Gathering:
    """New shipments whose first check is delayed until others have joined."""

    def __init__(self) -> None:
        self.shipments: dict[WatchedShipment, None] = {}
        self._first = self._last = self._interval = math.inf

    def add(self, shipment: WatchedShipment, now: float) -> None:
        """Delay the first check of a shipment.

        :param shipment: a shipment that was never checked.
        :param now: event loop time in seconds.
        """
        self._first = min(self._first, now)
        self._last = now
        self._interval = min(self._interval, shipment.poke_interval)
        self.shipments[shipment] = None

    @property
    def due(self) -> float:
        """When the first check of all of them must begin."""
        if not self.shipments:
            return math.inf
        return min(self._last + GATHER_SECONDS, self._first + min(self._interval, MAX_GATHER_SECONDS))

    def release(self, now: float) -> None:
        """Make all of them due.

        :param now: event loop time in seconds.
        """
        for shipment in self.shipments:
            shipment.wanted_at = min(shipment.wanted_at, now)
        self.shipments = {}
        self._first = self._last = self._interval = math.inf
