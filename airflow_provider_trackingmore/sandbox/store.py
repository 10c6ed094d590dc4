"""The shipments of one account, indexed by number, order and age, with a heap of due refreshes."""

from __future__ import annotations

import hashlib
import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from .journey_steps import Step
from .journeys import FINAL, Journey

Key = tuple[str, str]
"""Carrier code and tracking number."""

DETAIL_FIELDS = (
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
    :param created_at: time of registration in unix seconds.
    :param serial: number of the registration within the account.
    :param journey: its journey.
    :param details: the detail fields that have a value.
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
    seen_steps: int = 0
    first_refreshed_at: float | None = None
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
        """The latest visible step."""
        return self.journey.steps[self.seen_steps - 1] if self.seen_steps else None

    def show_steps(self, steps: int) -> None:
        """Make steps visible.

        :param steps: how many steps of the journey are visible.
        """
        self.seen_steps = steps
        self.force_status(self.forced)

    def force_status(self, status: str | None) -> None:
        """Override the status.

        :param status: the status; None shows that of the journey.
        """
        self.forced = status
        self.status = status or (self.journey.steps[self.seen_steps - 1].status if self.seen_steps else "pending")

    @property
    def track_update(self) -> bool:
        """Whether the service keeps querying the carrier."""
        return self.stopped_at is None and self.status not in FINAL

    @property
    def delivered_at_first_refresh(self) -> bool:
        """Whether the first refresh found it delivered, and nothing has changed since."""
        return self.status == "delivered" and self.changed_at == self.first_refreshed_at and not self.forced

    def last_refresh(self, now: float) -> float | None:
        """Return the time of the latest refresh.

        :param now: unix seconds.
        :return: unix seconds; None before the first refresh.
        """
        until = now if self.stopped_at is None else self.stopped_at
        if not self.track_update and self.stopped_at is None:
            return self.changed_at
        return self.journey.last_refresh_before(until) if self.journey.steps else None


def shipment_id(account: int, key: Key) -> str:
    """Compute the id of a shipment.

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
        """Add a new shipment.

        :param key: carrier code and number.
        :param created_at: time of registration in unix seconds, possibly in the past.
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

        :param low: earliest registration in unix seconds; None for no limit.
        :param high: latest registration in unix seconds; None for no limit.
        :return: the shipments.
        """
        start = 0 if low is None else bisect_left(self.by_age, low, key=lambda shipment: shipment.created_at)
        stop = len(self.by_age) if high is None else bisect_right(self.by_age, high, key=lambda found: found.created_at)
        return self.by_age[start:stop][::-1]

    def run_due_refreshes(self, now: float) -> None:
        """Run all refreshes that are due and make a new step visible.

        :param now: unix seconds.
        """
        while self._due and self._due[0][0] <= now:
            due, _, shipment = heapq.heappop(self._due)
            if shipment.due == due:
                self._refresh(shipment, due)
                self._schedule(shipment)

    def refresh_now(self, shipment: Shipment, now: float) -> None:
        """Refresh a shipment at once.

        :param shipment: the shipment.
        :param now: unix seconds.
        """
        if not shipment.journey.steps:
            return
        self._refresh(shipment, now)
        self._schedule(shipment)

    def stop_refreshes(self, shipment: Shipment, now: float) -> None:
        """Stop refreshing a shipment.

        :param shipment: the shipment.
        :param now: unix seconds.
        """
        shipment.stopped_at = now
        shipment.due = None

    def _refresh(self, shipment: Shipment, at: float) -> None:
        steps_until = shipment.journey.steps_until(at)
        if shipment.first_refreshed_at is None:
            shipment.first_refreshed_at = at
        if steps_until > shipment.seen_steps or shipment.changed_at is None:
            shipment.changed_at = at
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
