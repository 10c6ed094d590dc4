"""The results of a wait: an outcome for each shipment, and a verdict for the whole wait."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_provider_trackingmore.api.formatting import format_list
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus
from airflow_provider_trackingmore.waiting.observation import Observation

_RETURN_SUBSTATUSES = frozenset({"exception010", "exception011", "exception0010", "exception0011"})
"""Returned to the sender, and being returned, each in the two spellings that sources use (reference, section 3)."""


class WaitResult(enum.StrEnum):
    """The state of a wait, or of the wait for one order."""

    WAITING = "waiting"
    RELEASED = "released"
    """Enough shipments have arrived."""
    FAILED = "failed"
    """Too few shipments can still arrive."""
    TIMED_OUT = "timed_out"
    """The deadline passed first."""
    ERROR = "error"
    """TrackingMore refused the account."""


class ShipmentOutcome(enum.StrEnum):
    """What the state of one shipment means for the wait: its status if that is decisive, or one of the last five."""

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
    """Convert a status to an outcome; a return to the sender has its own.

    :param observed: the state of a shipment.
    :return: the outcome; None for a status that this version does not know.
    """
    if observed.status == ShipmentStatus.EXCEPTION and observed.substatus in _RETURN_SUBSTATUSES:
        return ShipmentOutcome.RETURNED
    return _BY_STATUS.get(observed.status or "")


_BY_STATUS = {
    status.value: ShipmentOutcome(status.value) for status in ShipmentStatus if status is not ShipmentStatus.UNKNOWN
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one shipment.

    :param key: the shipment, as the user spelled it.
    :param observed: its newest known state; None before the first check.
    :param outcome: what that state means for the wait.
    """

    key: ShipmentKey
    observed: Observation | None = None
    outcome: ShipmentOutcome = ShipmentOutcome.WAITING

    @property
    def status(self) -> str | None:
        """The vendor's status; None before the first check, or if the shipment is not registered."""
        return self.observed.status if self.observed is not None else None

    @property
    def delivered_at(self) -> str | None:
        """ISO 8601 local time of the place, without zone; None while not delivered."""
        return self.observed.delivered_at if self.observed is not None else None

    def to_dict(self) -> dict[str, object]:
        """Return the outcome as an entry of a task's result: plain values only.

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
        """Return the compact form for events: a list of values, without those at the end that are None."""
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
        :raises ValueError: if the row was not written by :meth:`to_row` of this version.
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
    """The verdict on one order, or on a wait without orders.

    :param result: its state.
    :param outcomes: one per shipment, in the user's order.
    :param decisive: the outcomes that decided it.
    """

    result: WaitResult
    outcomes: tuple[Outcome, ...]
    decisive: tuple[Outcome, ...] = ()

    def to_dict(self, order: str) -> dict[str, object]:
        """Return the order as an entry of a task's result.

        :param order: its name.
        :return: ``order``, ``outcome``, ``delivered_at`` and ``shipments``.
        """
        times = [outcome.delivered_at for outcome in self.outcomes if outcome.delivered_at is not None]
        return {
            "order": order,
            "outcome": (self.decisive[0].outcome if self.decisive else ShipmentOutcome.WAITING).value,
            "delivered_at": max(times) if times and self.result is WaitResult.RELEASED else None,
            "shipments": [outcome.to_dict() for outcome in self.outcomes],
        }


@dataclass(frozen=True)
class Verdict:
    """The verdict on a whole wait.

    :param orders: by name; a single order named None if the wait is not for orders.
    """

    orders: Mapping[str | None, OrderVerdict]

    @property
    def result(self) -> WaitResult:
        """``waiting`` while any order waits; then the worst of all results: ``timed_out``, ``failed``, ``released``."""
        results = {order.result for order in self.orders.values()}
        for result in (WaitResult.WAITING, WaitResult.TIMED_OUT, WaitResult.FAILED):
            if result in results:
                return result
        return WaitResult.RELEASED

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """All shipments, order by order."""
        return tuple(outcome for order in self.orders.values() for outcome in order.outcomes)

    @property
    def reason(self) -> str:
        """Why the wait failed or timed out, in one line; empty otherwise."""
        unsuccessful = [
            (name, format_list(order.decisive, separator="; "))
            for name, order in self.orders.items()
            if order.result in (WaitResult.FAILED, WaitResult.TIMED_OUT)
        ]
        reasons = [reason if name is None else f"order {name}: {reason}" for name, reason in unsuccessful]
        return format_list(reasons, separator="; ")

    def at_deadline(self) -> Verdict:
        """Return the verdict at the deadline: orders and shipments that are still waiting have timed out."""
        return Verdict({name: _timed_out(order) for name, order in self.orders.items()})

    def to_list(self) -> list[dict[str, object]]:
        """Return the result of a task: one entry per shipment, or per order."""
        if None in self.orders:
            return [outcome.to_dict() for outcome in self.orders[None].outcomes]
        return [order.to_dict(name) for name, order in self.orders.items() if name is not None]


def _timed_out(order: OrderVerdict) -> OrderVerdict:
    if order.result is not WaitResult.WAITING:
        return order
    outcomes = tuple(
        replace(outcome, outcome=ShipmentOutcome.TIMED_OUT) if outcome.outcome is ShipmentOutcome.WAITING else outcome
        for outcome in order.outcomes
    )
    late = tuple(outcome for outcome in outcomes if outcome.outcome is ShipmentOutcome.TIMED_OUT)
    return OrderVerdict(WaitResult.TIMED_OUT, outcomes, late or outcomes)


def summary(outcomes: Iterable[Outcome]) -> str:
    """Count the statuses for a log line.

    :param outcomes: the outcomes so far.
    :return: such as ``2 delivered, 1 transit``.
    """
    counts: dict[str, int] = {}
    for outcome in outcomes:
        is_stuck = outcome.outcome is ShipmentOutcome.STUCK
        name = outcome.outcome.value if outcome.status is None or is_stuck else outcome.status
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no shipments"
