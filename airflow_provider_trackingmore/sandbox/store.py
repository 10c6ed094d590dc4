"""The shipments of one account, indexed by number, order and age, with a heap of due refreshes."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from .journey_rendering import JourneyTextCache
from .journeys import Journey
from .shipments import Key, Shipment, shipment_id

_AGE = attrgetter("created_at", "serial")
_CREATED_AT = attrgetter("created_at")


@dataclass(slots=True)
class Store:
    """All shipments of an account.

    :param account: its index.
    :param texts: keeps the journeys as they were last serialized.
    :param on_change: called with each shipment whose tracking changes.
    """

    account: int
    texts: JourneyTextCache = field(default_factory=lambda: JourneyTextCache(0))
    on_change: Callable[[Shipment], None] = field(default=lambda _: None)
    by_key: dict[Key, Shipment] = field(default_factory=dict)
    by_age: list[Shipment] = field(default_factory=list)
    _by_number: dict[str, list[Shipment]] = field(default_factory=dict)
    _by_order: dict[str, list[Shipment]] = field(default_factory=dict)
    _due: list[tuple[float, int, Shipment]] = field(default_factory=list)
    _serial: int = 0

    def add(self, key: Key, created_at: float, journey: Journey, details: dict[str, str]) -> Shipment:
        """Add a new shipment.

        :param key: carrier code and number.
        :param created_at: time of registration in Unix seconds, possibly in the past.
        :param journey: its journey.
        :param details: the detail fields that have a value.
        :return: the shipment.
        """
        self._serial += 1
        shipment = Shipment(*key, shipment_id(self.account, key), created_at, self._serial, journey, details)
        self.by_key[key] = shipment
        if not self.by_age or _AGE(self.by_age[-1]) < _AGE(shipment):
            self.by_age.append(shipment)
        else:
            insort(self.by_age, shipment, key=_AGE)
        self._by_number.setdefault(key[1], []).append(shipment)
        self.index_order(shipment, None)
        self._schedule(shipment)
        return shipment

    def add_all(self, rows: Iterable[tuple[Key, float, Journey, dict[str, str]]]) -> list[Shipment]:
        """Add many shipments, in any order.

        :param rows: the arguments of :meth:`add`; existing shipments are skipped.
        :return: the shipments that were new.
        """
        ordered = sorted(rows, key=lambda row: row[1])
        if self.by_age and ordered and ordered[0][1] < self.by_age[-1].created_at:
            newest, self.by_age = self.by_age, []
            added = [self.add(*row) for row in ordered if row[0] not in self.by_key]
            self.by_age = sorted([*newest, *self.by_age], key=_AGE)
            return added
        return [self.add(*row) for row in ordered if row[0] not in self.by_key]

    def remove(self, key: Key) -> Shipment | None:
        """Delete a shipment.

        :param key: carrier code and number.
        :return: the shipment; None if it did not exist.
        """
        shipment = self.by_key.pop(key, None)
        if shipment is None:
            return None
        del self.by_age[bisect_left(self.by_age, _AGE(shipment), key=_AGE)]
        _remove_from_index(self._by_number, shipment.number, shipment)
        _remove_from_index(self._by_order, shipment.details.get("order_id"), shipment)
        self.texts.discard(shipment)
        shipment.due = None
        return shipment

    def index_order(self, shipment: Shipment, before: str | None) -> None:
        """Update the index of orders after a change of ``order_id``.

        :param shipment: the shipment, already changed.
        :param before: its previous order.
        """
        _remove_from_index(self._by_order, before, shipment)
        order = shipment.details.get("order_id")
        if order is not None:
            self._by_order.setdefault(order, []).append(shipment)

    def find_by_number(self, numbers: Iterable[str]) -> list[Shipment]:
        """Find shipments by tracking number, of any carrier.

        :param numbers: tracking numbers.
        :return: the shipments, in no order.
        """
        return [found for number in dict.fromkeys(numbers) for found in self._by_number.get(number, ())]

    def find_by_order(self, orders: Iterable[str]) -> list[Shipment]:
        """Find shipments by order.

        :param orders: values of ``order_id``.
        :return: the shipments, in no order.
        """
        return [found for order in dict.fromkeys(orders) for found in self._by_order.get(order, ())]

    def created_between(self, low: float | None, high: float | None) -> list[Shipment]:
        """List the shipments, newest registration first.

        :param low: earliest registration in Unix seconds; None for no limit.
        :param high: latest registration in Unix seconds; None for no limit.
        :return: the shipments.
        """
        start = 0 if low is None else bisect_left(self.by_age, low, key=_CREATED_AT)
        stop = len(self.by_age) if high is None else bisect_right(self.by_age, high, key=_CREATED_AT)
        return self.by_age[start:stop][::-1]

    def run_due_refreshes(self, now: float) -> None:
        """Run all refreshes that are due and make a new step visible.

        :param now: Unix seconds.
        """
        while self._due and self._due[0][0] <= now:
            due, _, shipment = heapq.heappop(self._due)
            if shipment.due == due:
                self._catch_up(shipment, due, now)
                self._schedule(shipment)

    def refresh_now(self, shipment: Shipment, now: float) -> None:
        """Refresh a shipment at once.

        :param shipment: the shipment.
        :param now: Unix seconds.
        """
        if not shipment.journey.steps:
            return
        self._refresh(shipment, now)
        self._schedule(shipment)

    def stop_refreshes(self, shipment: Shipment, now: float) -> None:
        """Stop refreshing a shipment.

        :param shipment: the shipment.
        :param now: Unix seconds.
        """
        shipment.stopped_at = now
        shipment.due = None

    def change_journey(self, shipment: Shipment, journey: Journey, visible: int, now: float) -> None:
        """Give a shipment another journey.

        :param shipment: the shipment.
        :param journey: its new journey.
        :param visible: how many of its steps are visible.
        :param now: Unix seconds.
        """
        shipment.journey = journey
        if visible and shipment.first_refreshed_at is None:
            shipment.first_refreshed_at = now
        shipment.show_steps(visible)
        self._schedule(shipment)
        self.on_change(shipment)

    def _catch_up(self, shipment: Shipment, due: float, now: float) -> None:
        """Run all refreshes that are due. Only the first one and the last one with a new step matter."""
        journey = shipment.journey
        if shipment.first_refreshed_at is None:
            shipment.first_refreshed_at = due
        seen = journey.steps_until(now)
        while journey.visible_at(journey.steps[seen - 1].at) > now:
            seen -= 1
        shipment.mark_changed(journey.visible_at(journey.steps[seen - 1].at))
        shipment.show_steps(seen)
        self.on_change(shipment)

    def _refresh(self, shipment: Shipment, at: float) -> None:
        steps_until = shipment.journey.steps_until(at)
        if shipment.first_refreshed_at is None:
            shipment.first_refreshed_at = at
        if steps_until > shipment.seen_steps or shipment.changed_at is None:
            shipment.mark_changed(at)
            self.on_change(shipment)
        shipment.show_steps(max(steps_until, shipment.seen_steps))

    def _schedule(self, shipment: Shipment) -> None:
        steps = shipment.journey.steps
        if shipment.seen_steps >= len(steps) or shipment.stopped_at is not None:
            shipment.due = None
            return
        due = shipment.journey.visible_at(steps[shipment.seen_steps].at)
        if due != shipment.due:
            shipment.due = due
            heapq.heappush(self._due, (due, shipment.serial, shipment))


def _remove_from_index(index: dict[str, list[Shipment]], name: str | None, shipment: Shipment) -> None:
    if name is None or name not in index:
        return
    index[name].remove(shipment)
    if not index[name]:
        del index[name]
