"""The shipments of one account: found by number, order, age; brought up to date by a heap of due refreshes. No HTTP."""

from __future__ import annotations

import hashlib
import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from .journeys import FINAL, Journey
from .script import Step

Key = tuple[str, str]
"""Carrier code and tracking number."""

DETAILS = (
    "title",
    "logistics_channel",
    "customer_name",
    "customer_email",
    "customer_phone",
    "order_id",
    "comment",
    "order_create_time",
    "destination_code",
    "lang",
    "tracking_ship_date",
    "tracking_postal_code",
    "tracking_account_number",
    "tracking_destination_country",
)
_AGE = attrgetter("created_at", "serial")


@dataclass(slots=True, eq=False)
class Shipment:
    """One registered tracking.

    :param carrier_code: its carrier.
    :param number: its tracking number.
    :param id: 32 hex digits, stable for account, carrier and number.
    :param created_at: unix seconds of its registration.
    :param serial: counts the registrations of the account.
    :param journey: what happens to it.
    :param details: what the caller said about it, unset things left out.
    """

    carrier_code: str
    number: str
    id: str
    created_at: float
    serial: int
    journey: Journey
    details: dict[str, str]
    order_time: float | None = None
    status: str = "pending"
    seen: int = 0
    looked_at: float | None = None
    changed_at: float | None = None
    forced: str | None = None
    stopped_at: float | None = None
    archived: bool = False
    due: float | None = None

    @property
    def key(self) -> Key:
        """Carrier code and number."""
        return self.carrier_code, self.number

    @property
    def step(self) -> Step | None:
        """The newest step that the service has seen."""
        return self.journey.steps[self.seen - 1] if self.seen else None

    def see(self, steps: int) -> None:
        """Learn what the courier knows.

        :param steps: how many steps of the journey are known.
        """
        self.seen = steps
        self.force(self.forced)

    def force(self, status: str | None) -> None:
        """Show a status of the caller's choice.

        :param status: the status; None shows the real one.
        """
        self.forced = status
        self.status = status or (self.journey.steps[self.seen - 1].status if self.seen else "pending")

    @property
    def track_update(self) -> bool:
        """Whether the service goes on looking."""
        return self.stopped_at is None and self.status not in FINAL

    @property
    def delivered_at_first_look(self) -> bool:
        """Whether nothing about it has changed since a first look that found it delivered."""
        return self.status == "delivered" and self.changed_at == self.looked_at and not self.forced

    def last_refresh(self, now: float) -> float | None:
        """Tell when the service last looked.

        :param now: unix seconds.
        :return: unix seconds; None when it never did.
        """
        until = now if self.stopped_at is None else self.stopped_at
        if not self.track_update and self.stopped_at is None:
            return self.changed_at
        return self.journey.last_look(until) if self.journey.steps else None


def shipment_id(account: int, key: Key) -> str:
    """Name a shipment.

    :param account: index of the account.
    :param key: carrier code and number.
    :return: 32 hex digits.
    """
    text = f"{account}\x1f{key[0]}\x1f{key[1]}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


@dataclass(slots=True)
class Store:
    """All shipments of an account.

    :param account: its index.
    """

    account: int
    by_key: dict[Key, Shipment] = field(default_factory=dict)
    by_age: list[Shipment] = field(default_factory=list)
    _by_number: dict[str, list[Shipment]] = field(default_factory=dict)
    _by_order: dict[str, list[Shipment]] = field(default_factory=dict)
    _due: list[tuple[float, int, Shipment]] = field(default_factory=list)
    _serial: int = 0

    def add(self, key: Key, created_at: float, journey: Journey, details: dict[str, str]) -> Shipment:
        """Register a shipment that is not there yet.

        :param key: carrier code and number.
        :param created_at: unix seconds, possibly in the past.
        :param journey: what happens to it.
        :param details: what the caller said about it.
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
        """Register many, in any order of age.

        :param rows: the arguments of :meth:`add`, oldest to be sorted here; those that are there already are left out.
        :return: the shipments that were added.
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
        :return: the shipment; None when it was not there.
        """
        shipment = self.by_key.pop(key, None)
        if shipment is None:
            return None
        del self.by_age[bisect_left(self.by_age, _AGE(shipment), key=_AGE)]
        _drop(self._by_number, shipment.number, shipment)
        _drop(self._by_order, shipment.details.get("order_id"), shipment)
        shipment.due = None
        return shipment

    def index_order(self, shipment: Shipment, before: str | None) -> None:
        """Keep the index of orders right after a change of ``order_id``.

        :param shipment: the shipment, already changed.
        :param before: its order before.
        """
        _drop(self._by_order, before, shipment)
        order = shipment.details.get("order_id")
        if order is not None:
            self._by_order.setdefault(order, []).append(shipment)

    def with_numbers(self, numbers: Iterable[str]) -> list[Shipment]:
        """Find shipments by number, whoever carries them.

        :param numbers: tracking numbers.
        :return: the shipments, in no order.
        """
        return [found for number in dict.fromkeys(numbers) for found in self._by_number.get(number, ())]

    def with_orders(self, orders: Iterable[str]) -> list[Shipment]:
        """Find shipments by order.

        :param orders: values of ``order_id``.
        :return: the shipments, in no order.
        """
        return [found for order in dict.fromkeys(orders) for found in self._by_order.get(order, ())]

    def created_between(self, low: float | None, high: float | None) -> list[Shipment]:
        """List the shipments, newest registration first.

        :param low: unix seconds from which on; None for all.
        :param high: unix seconds up to which; None for all.
        :return: the shipments.
        """
        start = 0 if low is None else bisect_left(self.by_age, low, key=lambda shipment: shipment.created_at)
        stop = len(self.by_age) if high is None else bisect_right(self.by_age, high, key=lambda found: found.created_at)
        return self.by_age[start:stop][::-1]

    def settle(self, now: float) -> None:
        """Carry out all refreshes that are due and show something new.

        :param now: unix seconds.
        """
        while self._due and self._due[0][0] <= now:
            due, _, shipment = heapq.heappop(self._due)
            if shipment.due == due:
                self._see(shipment, due)
                self._schedule(shipment)

    def look_now(self, shipment: Shipment, now: float) -> None:
        """Look at the courier at once.

        :param shipment: whose.
        :param now: unix seconds.
        """
        if not shipment.journey.steps:
            return
        self._see(shipment, now)
        self._schedule(shipment)

    def stop(self, shipment: Shipment, now: float) -> None:
        """Stop looking.

        :param shipment: whose refreshes end.
        :param now: unix seconds.
        """
        shipment.stopped_at = now
        shipment.due = None

    def _see(self, shipment: Shipment, at: float) -> None:
        known = shipment.journey.known(at)
        if shipment.looked_at is None:
            shipment.looked_at = at
        if known > shipment.seen or shipment.changed_at is None:
            shipment.changed_at = at
        shipment.see(max(known, shipment.seen))

    def _schedule(self, shipment: Shipment) -> None:
        steps = shipment.journey.steps
        if shipment.seen >= len(steps) or shipment.stopped_at is not None:
            shipment.due = None
            return
        due = shipment.journey.visible_at(steps[shipment.seen].at)
        if due != shipment.due:
            shipment.due = due
            heapq.heappush(self._due, (due, shipment.serial, shipment))


def _drop(index: dict[str, list[Shipment]], name: str | None, shipment: Shipment) -> None:
    if name is None or name not in index:
        return
    index[name].remove(shipment)
    if not index[name]:
        del index[name]
