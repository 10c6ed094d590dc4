"""What a wait must conclude from what it has been shown: the documented rules, written a second time.

Each shipment has one word, which the sights of it move along one by one; every order is decided by the words alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tests.simulation.parcels import Name, name_of

DAY = 86_400.0
RETURNS = ("exception010", "exception011")
STAGES = {"pending": 0, "notfound": 0, "expired": 2, "delivered": 3}
"""Anything else is on its way: 1. A shipment never goes back to a lower stage, save where it may reopen."""
OPEN = ("waiting", "stuck")
"""The words of a shipment that must still be checked."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one answer shows of one shipment.

    :param at: when the answer came.
    :param status: None: the vendor says for this very number that it does not know it.
    :param event_at: when the newest event happened.
    :param quiet_days: whole days without an event.
    :param full: whether the answer is the whole truth, and not a list of changes.
    """

    at: float
    status: str | None
    substatus: str | None = None
    event_at: float = 0.0
    quiet_days: int = 0
    full: bool = True


@dataclass(slots=True)
class _Standing:
    """What all sights of one shipment so far come to.

    :param newest: the newest of them.
    :param since: when its status was first seen; infinity: not yet by a sight that counts.
    :param word: what it means.
    """

    newest: Sight | None = None
    since: float = 0.0
    word: str = "waiting"


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
        self._standings: dict[Name, _Standing] = {name: _Standing() for own in self.orders.values() for name in own}
        self._decided: dict[str | None, str] = {}
        self._last_words: dict[str | None, dict[Name, str]] = {}

    @property
    def names(self) -> list[Name]:
        """All shipments, each once."""
        return list(self._standings)

    def needed(self, order: str | None) -> int:
        """How many shipments of an order must arrive."""
        return {"all": len(self.orders[order]), "any": 1}.get(self.wait_for, self.wait_for)

    def see(self, sights: dict[Name, Sight]) -> None:
        """Take in one answer."""
        for name, sight in sights.items():
            self.see_one(name, sight)
        for order in self.orders:
            if order not in self._decided and (result := self._decide(order)) != "waiting":
                self._decided[order] = result
                self._last_words[order] = self.words(order)

    def see_one(self, name: Name, sight: Sight) -> None:
        """Take in what an answer shows of one shipment, and decide no order by it."""
        self._move(self._standings[name], sight)

    def result_of(self, order: str | None) -> str:
        """How one order stands: ``waiting``, ``released`` or ``failed``."""
        return self._decided.get(order, "waiting")

    @property
    def result(self) -> str:
        """How the whole wait stands."""
        results = {self.result_of(order) for order in self.orders}
        return next((result for result in ("waiting", "failed") if result in results), "released")

    def words(self, order: str | None) -> dict[Name, str]:
        """What each shipment of an order means by now, or meant when the order was decided."""
        return self._last_words.get(order) or {name: self.word(name) for name in self.orders[order]}

    def _decide(self, order: str | None) -> str:
        words = self.words(order).values()
        arrived = sum(1 for word in words if word in self.statuses)
        if arrived >= self.needed(order):
            return "released"
        if "not_registered" in words:
            return "failed"
        lost = sum(1 for word in words if word != "waiting" and word not in self.statuses)
        return "failed" if len(words) - lost < self.needed(order) else "waiting"

    def word(self, name: Name) -> str:
        """What all sights of a shipment come to: a status, ``returned``, ``stuck``, ``not_registered``, ``waiting``."""
        return self._standings[name].word

    def stays_delivered(self, name: Name) -> bool:
        """Whether it has seen a delivery of a shipment, after which no other status counts."""
        newest = self._standings[name].newest
        return self.settle == 0 and newest is not None and newest.status == "delivered"

    def _move(self, own: _Standing, sight: Sight) -> None:
        """Take in one sight; a word that is final stays."""
        if own.word not in ("waiting", "stuck"):
            return
        if own.newest is None or self._is_newer(sight, own.newest):
            if own.newest is None or own.newest.status != sight.status:
                own.since = float("inf")
            own.newest = sight
        if own.since == float("inf") and (sight.full or not self._settles_by_full):
            own.since = sight.at
        own.word = self._meaning(own.newest, max(0.0, sight.at - own.since))

    def _meaning(self, sight: Sight, seen_for: float) -> str:
        if sight.status is None:
            return "not_registered"
        returned = sight.status == "exception" and sight.substatus in RETURNS
        if sight.status in self.statuses:
            settled = self.settle == 0 or max(seen_for, sight.quiet_days * DAY) >= self.settle
            return sight.status if settled else "waiting"
        if sight.status in self.fail_on or (returned and "returned" in self.fail_on):
            return "returned" if returned else sight.status
        if self.stuck_after is not None and sight.quiet_days * DAY >= self.stuck_after:
            return "stuck"
        return "waiting"

    def _is_newer(self, new: Sight, old: Sight) -> bool:
        if old.status is None:
            return True
        before = STAGES.get(old.status, 1)
        if new.status is None:
            return before < 3
        after = STAGES.get(new.status, 1)
        reopened = old.status == "delivered" and after == 1 and math.floor(new.event_at) > math.floor(old.event_at)
        return after >= before or (self.settle > 0 and reopened)
