"""What a wait reports: one outcome per shipment, one verdict for the whole wait."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus
from airflow_provider_trackingmore.waiting.observation import Observation

_RETURN_SUBSTATUSES = frozenset({"exception010", "exception011", "exception0010", "exception0011"})
"""Returned to the sender, being returned; in both spellings that sources show (reference, section 3)."""
MAX_LISTED = 20


class WaitResult(enum.StrEnum):
    """How a wait, or the wait for one order, stands."""

    WAITING = "waiting"
    RELEASED = "released"
    """Enough shipments have arrived."""
    FAILED = "failed"
    """Too few shipments can still arrive."""
    TIMED_OUT = "timed_out"
    """The deadline passed first."""
    ERROR = "error"
    """The account could not be asked any more."""


class ShipmentOutcome(enum.StrEnum):
    """What the state of one shipment means for the wait: the status that decided it, or one of the last five."""

    PENDING = "pending"
    NOT_FOUND = "notfound"
    TRANSIT = "transit"
    PICKUP = "pickup"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXCEPTION = "exception"
    EXPIRED = "expired"
    RETURNED = "returned"
    """An exception that is a return to the sender."""
    STUCK = "stuck"
    """No new event for longer than ``stuck_after``."""
    NOT_REGISTERED = "not_registered"
    TIMED_OUT = "timed_out"
    WAITING = "waiting"


def outcome_of_status(observed: Observation) -> ShipmentOutcome | None:
    """Name a status as an outcome; a return to the sender has its own name.

    :param observed: the state of a shipment.
    :return: None for a status that this version does not know.
    """
    if observed.status == ShipmentStatus.EXCEPTION and observed.substatus in _RETURN_SUBSTATUSES:
        return ShipmentOutcome.RETURNED
    return _BY_STATUS.get(observed.status or "")


_BY_STATUS = {
    status.value: ShipmentOutcome(status.value) for status in ShipmentStatus if status is not ShipmentStatus.UNKNOWN
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one shipment.

    :param key: the shipment, as the user spelled it.
    :param observed: its newest known state; None before the first check.
    :param outcome: what that means for the wait.
    """

    key: ShipmentKey
    observed: Observation | None = None
    outcome: ShipmentOutcome = ShipmentOutcome.WAITING

    @property
    def status(self) -> str | None:
        """The vendor's status; None while nothing is known or the shipment is not registered."""
        return self.observed.status if self.observed is not None else None

    @property
    def delivered_at(self) -> str | None:
        """ISO 8601 local time of the place, without zone; None while not delivered."""
        return self.observed.delivered_at if self.observed is not None else None

    def to_dict(self) -> dict[str, Any]:
        """Return the entry that tasks return: plain values only.

        :return: ``carrier_code``, ``tracking_number``, ``status``, ``substatus``, ``delivered_at``, ``last_update``,
            ``order_id``, ``outcome``.
        """
        observed = self.observed or Observation()
        return {
            "carrier_code": self.key.carrier_code,
            "tracking_number": self.key.tracking_number,
            "status": observed.status,
            "substatus": observed.substatus,
            "delivered_at": observed.delivered_at,
            "last_update": observed.last_update,
            "order_id": observed.order_id,
            "outcome": self.outcome.value,
        }

    def to_row(self) -> list[str | None]:
        """Return the compact form for events: values without names, unset ones at the end left out."""
        observed = self.observed or Observation()
        row = [
            self.outcome.value,
            observed.status,
            observed.delivered_at,
            observed.last_update,
            observed.order_id,
            observed.substatus,
        ]
        while row[-1] is None:
            row.pop()
        return row

    @classmethod
    def from_row(cls, key: ShipmentKey, row: Sequence[object]) -> Outcome:
        """Read what :meth:`to_row` wrote.

        :param key: the shipment.
        :param row: the values.
        :return: the outcome.
        :raises ValueError: if the row is not one of this version.
        """
        if not 1 <= len(row) <= 6 or not all(isinstance(value, str | None) for value in row):
            raise ValueError("not an outcome")
        outcome = ShipmentOutcome(str(row[0]))
        values = [*(value if isinstance(value, str) else None for value in row), None, None, None, None, None]
        status, delivered_at, last_update, order_id, substatus = values[1:6]
        known = status is not None or outcome is ShipmentOutcome.NOT_REGISTERED
        return cls(key, Observation(status, substatus, delivered_at, last_update, order_id) if known else None, outcome)

    def __str__(self) -> str:
        if self.outcome is ShipmentOutcome.NOT_REGISTERED:
            return f"{self.key} is not registered with TrackingMore: run CreateTrackingsOperator first"
        substatus = self.observed.substatus if self.observed is not None else None
        text = f"{self.key}: {self.status or 'nothing known yet'}" + (f" ({substatus})" if substatus else "")
        return text + (", stuck: no new event for too long" if self.outcome is ShipmentOutcome.STUCK else "")


@dataclass(frozen=True, slots=True)
class OrderVerdict:
    """What became of one order, or of a wait without orders.

    :param result: how it stands.
    :param outcomes: one per shipment, in the user's order.
    :param decisive: those that decided it.
    """

    result: WaitResult
    outcomes: tuple[Outcome, ...]
    decisive: tuple[Outcome, ...] = ()

    def to_dict(self, order: str) -> dict[str, Any]:
        """Return the entry of an order that tasks return.

        :param order: its name.
        :return: ``order``, ``outcome``, ``delivered_at`` and ``shipments``.
        """
        times = [one.delivered_at for one in self.outcomes if one.delivered_at is not None]
        return {
            "order": order,
            "outcome": (self.decisive[0].outcome if self.decisive else ShipmentOutcome.WAITING).value,
            "delivered_at": max(times) if times and self.result is WaitResult.RELEASED else None,
            "shipments": [one.to_dict() for one in self.outcomes],
        }


@dataclass(frozen=True)
class Verdict:
    """What became of a whole wait.

    :param orders: by name; a single one named None where the wait is not for orders.
    """

    orders: Mapping[str | None, OrderVerdict]

    @property
    def result(self) -> WaitResult:
        """``waiting`` while one order is; then the worst of them: timed out, failed, released."""
        results = {order.result for order in self.orders.values()}
        for result in (WaitResult.WAITING, WaitResult.TIMED_OUT, WaitResult.FAILED):
            if result in results:
                return result
        return WaitResult.RELEASED

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """All shipments, order by order."""
        return tuple(one for order in self.orders.values() for one in order.outcomes)

    @property
    def reason(self) -> str:
        """Why it failed or timed out, in one line; empty otherwise."""
        bad = [
            (name, first_listed(order.decisive))
            for name, order in self.orders.items()
            if order.result in (WaitResult.FAILED, WaitResult.TIMED_OUT)
        ]
        return first_listed([reason if name is None else f"order {name}: {reason}" for name, reason in bad])

    def at_deadline(self) -> Verdict:
        """Return the same verdict with everything that is still waiting timed out."""
        return Verdict({name: _timed_out(order) for name, order in self.orders.items()})

    def to_list(self) -> list[dict[str, Any]]:
        """Return what a task returns: one entry per shipment, or per order."""
        if None in self.orders:
            return [one.to_dict() for one in self.orders[None].outcomes]
        return [order.to_dict(name) for name, order in self.orders.items() if name is not None]


def _timed_out(order: OrderVerdict) -> OrderVerdict:
    if order.result is not WaitResult.WAITING:
        return order
    outcomes = tuple(
        replace(one, outcome=ShipmentOutcome.TIMED_OUT) if one.outcome is ShipmentOutcome.WAITING else one
        for one in order.outcomes
    )
    late = tuple(one for one in outcomes if one.outcome is ShipmentOutcome.TIMED_OUT)
    return OrderVerdict(WaitResult.TIMED_OUT, outcomes, late or outcomes)


def summary(outcomes: Iterable[Outcome]) -> str:
    """Count the statuses for a log line.

    :param outcomes: what is known.
    :return: such as ``2 delivered, 1 transit``.
    """
    counts: dict[str, int] = {}
    for one in outcomes:
        word = one.outcome.value if one.status is None or one.outcome is ShipmentOutcome.STUCK else one.status
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{number} {word}" for word, number in sorted(counts.items())) or "no shipments"


def first_listed(items: Sequence[object]) -> str:
    """Write the first twenty items in one line, and how many more there are.

    :param items: what to write.
    :return: one line.
    """
    text = "; ".join(map(str, items[:MAX_LISTED]))
    return text + (f"; and {len(items) - MAX_LISTED} more" if items[MAX_LISTED:] else "")
