"""What a wait must conclude from what it has been shown: the documented rules, implemented a second time.

Each shipment has an outcome, which its sightings update one by one. The outcomes alone decide each order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tests.simulation.parcels import Name, name_of

DAY = 86_400.0
RETURNS = ("exception010", "exception011")
STAGES = {"pending": 0, "notfound": 0, "expired": 2, "delivered": 3}
"""Any other status is stage 1, in transit. A shipment never goes back to a lower stage, unless it may reopen."""
OPEN = ("waiting", "stuck")
"""The outcomes of a shipment that must still be checked."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one response shows of one shipment.

    :param at: when the response arrived.
    :param status: None if the vendor does not know this number.
    :param event_at: when the newest event happened.
    :param quiet_days: whole days without an event.
    :param full: whether the response is a full check rather than a list of changes.
    """

    at: float
    status: str | None
    substatus: str | None = None
    event_at: float = 0.0
    quiet_days: int = 0
    full: bool = True


@dataclass(slots=True)
class _ShipmentState:
    """The result of all sightings of one shipment so far.

    :param newest: the newest of them.
    :param since: when its status was first seen; infinity if no sighting has counted yet.
    :param outcome: what it means.
    """

    newest: Sighting | None = None
    since: float = 0.0
    outcome: str = "waiting"


class Belief:
    """Everything that one wait has been shown.

    :param options: the arguments of ``WaitSpec.create``.
    :param settles_by_full: whether only full checks count for ``settle_seconds``.
    """

    def __init__(self, options: dict[str, Any], *, settles_by_full: bool) -> None:
        orders = options.get("orders") or {None: options["shipments"]}
        self.orders: dict[str | None, list[Name]] = {
            name: list(dict.fromkeys(name_of(*shipment) for shipment in own)) for name, own in orders.items()
        }
        self.statuses = set(options["statuses"])
        self.fail_on = set(options["fail_on"]) - self.statuses
        self.wait_for = options["wait_for"]
        self.settle = options.get("settle_seconds", 0.0)
        self.stuck_after = options.get("stuck_after")
        self._settles_by_full = settles_by_full
        self._shipments: dict[Name, _ShipmentState] = {
            name: _ShipmentState() for own in self.orders.values() for name in own
        }
        self._decided: dict[str | None, str] = {}
        self._final_outcomes: dict[str | None, dict[Name, str]] = {}

    @property
    def names(self) -> list[Name]:
        """All shipments, each once."""
        return list(self._shipments)

    def needed(self, order: str | None) -> int:
        """Return how many shipments of an order must arrive."""
        return {"all": len(self.orders[order]), "any": 1}.get(self.wait_for, self.wait_for)

    def observe(self, sightings: dict[Name, Sighting]) -> None:
        """Process the sightings of one response."""
        for name, sighting in sightings.items():
            self.observe_one(name, sighting)
        for order in self.orders:
            if order not in self._decided and (result := self._decide(order)) != "waiting":
                self._decided[order] = result
                self._final_outcomes[order] = self.outcomes(order)

    def observe_one(self, name: Name, sighting: Sighting) -> None:
        """Process one sighting, without deciding an order."""
        self._update(self._shipments[name], sighting)

    def result_of(self, order: str | None) -> str:
        """Return the result of one order: ``waiting``, ``released`` or ``failed``."""
        return self._decided.get(order, "waiting")

    @property
    def result(self) -> str:
        """The result of the whole wait."""
        results = {self.result_of(order) for order in self.orders}
        return next((result for result in ("waiting", "failed") if result in results), "released")

    def outcomes(self, order: str | None) -> dict[Name, str]:
        """Return the outcome of each shipment of an order: at present, or when the order was decided."""
        return self._final_outcomes.get(order) or {name: self.outcome(name) for name in self.orders[order]}

    def _decide(self, order: str | None) -> str:
        outcomes = self.outcomes(order).values()
        arrived = sum(1 for outcome in outcomes if outcome in self.statuses)
        if arrived >= self.needed(order):
            return "released"
        if "not_registered" in outcomes:
            return "failed"
        lost = sum(1 for outcome in outcomes if outcome != "waiting" and outcome not in self.statuses)
        return "failed" if len(outcomes) - lost < self.needed(order) else "waiting"

    def outcome(self, name: Name) -> str:
        """Return the outcome of a shipment: a status, ``returned``, ``stuck``, ``not_registered`` or ``waiting``."""
        return self._shipments[name].outcome

    def stays_delivered(self, name: Name) -> bool:
        """Tell whether it has seen the delivery of a shipment, after which no other status counts."""
        newest = self._shipments[name].newest
        return self.settle == 0 and newest is not None and newest.status == "delivered"

    def _update(self, own: _ShipmentState, sighting: Sighting) -> None:
        """Process one sighting. A final outcome stays."""
        if own.outcome not in ("waiting", "stuck"):
            return
        if own.newest is None or self._is_newer(sighting, own.newest):
            if own.newest is None or own.newest.status != sighting.status:
                own.since = float("inf")
            own.newest = sighting
        if own.since == float("inf") and (sighting.full or not self._settles_by_full):
            own.since = sighting.at
        own.outcome = self._outcome_of(own.newest, max(0.0, sighting.at - own.since))

    def _outcome_of(self, sighting: Sighting, seen_for: float) -> str:
        if sighting.status is None:
            return "not_registered"
        returned = sighting.status == "exception" and sighting.substatus in RETURNS
        if sighting.status in self.statuses:
            settled = self.settle == 0 or max(seen_for, sighting.quiet_days * DAY) >= self.settle
            return sighting.status if settled else "waiting"
        if sighting.status in self.fail_on or (returned and "returned" in self.fail_on):
            return "returned" if returned else sighting.status
        if self.stuck_after is not None and sighting.quiet_days * DAY >= self.stuck_after:
            return "stuck"
        return "waiting"

    def _is_newer(self, new: Sighting, old: Sighting) -> bool:
        if old.status is None:
            return True
        before = STAGES.get(old.status, 1)
        if new.status is None:
            return before < 3
        after = STAGES.get(new.status, 1)
        reopened = old.status == "delivered" and after == 1 and math.floor(new.event_at) > math.floor(old.event_at)
        return after >= before or (self.settle > 0 and reopened)
