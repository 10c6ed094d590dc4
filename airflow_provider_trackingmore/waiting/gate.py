"""When a wait is over: what is waited for + what is known -> Waiting | Released | Failed. Pure; the only state machine.

Sensors in every mode and the trigger ask this one place. It is given the time; it knows no Airflow and no wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus
from airflow_provider_trackingmore.waiting.knowledge import Knowledge
from airflow_provider_trackingmore.waiting.outcomes import (
    NOT_REGISTERED,
    RETURNED,
    STUCK,
    TIMED_OUT,
    WAITING,
    Outcome,
    listed,
    timed_out,
)

WaitFor: TypeAlias = "Literal['all', 'any'] | int"
DAY = 86_400.0


@dataclass(frozen=True)
class Waiting:
    """Not yet decided."""

    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Released:
    """What was waited for has come true.

    :param outcomes: every shipment.
    :param arrived: those that have.
    """

    outcomes: tuple[Outcome, ...]
    arrived: tuple[Outcome, ...]


@dataclass(frozen=True)
class Failed:
    """What was waited for cannot come true any more.

    :param outcomes: every shipment.
    :param causes: those that are to blame.
    """

    outcomes: tuple[Outcome, ...]
    causes: tuple[Outcome, ...]

    @property
    def reason(self) -> str:
        """The causes in one line."""
        return listed(self.causes)


Decision: TypeAlias = Waiting | Released | Failed


@dataclass(frozen=True)
class Goal:
    """What is waited for.

    :param shipments: each once, in the user's order.
    :param statuses: a shipment that has one of these counts as arrived.
    :param wait_for: how many must arrive: ``all``, ``any``, or a number.
    :param fail_on: a shipment that has one of these (or is ``returned``, if that is in it) will not arrive.
    :param settle_seconds: for how long a shipment must have been seen arrived before it counts.
    :param stuck_after: seconds without a new event after which a shipment counts as stuck, which is lost; None: never.
    """

    shipments: tuple[ShipmentKey, ...]
    statuses: frozenset[str] = frozenset({ShipmentStatus.DELIVERED.value})
    wait_for: WaitFor = "all"
    fail_on: frozenset[str] = frozenset({ShipmentStatus.EXCEPTION.value, ShipmentStatus.EXPIRED.value})
    settle_seconds: float = 0.0
    stuck_after: float | None = None

    @property
    def needed(self) -> int:
        """How many shipments must arrive; none of none."""
        if self.wait_for == "all":
            return len(self.shipments)
        return min(1 if self.wait_for == "any" else int(self.wait_for), len(self.shipments))

    def decide(self, known: Knowledge, now: float) -> Decision:
        """Decide whether the wait is over.

        :param known: the newest knowledge of each shipment.
        :param now: unix seconds.
        :return: ``Released`` as soon as enough have arrived, ``Failed`` as soon as too few still can, or one of them is
            not registered; ``Waiting`` otherwise. Each lists every shipment in order.
        """
        return self._decision(tuple(self.judged(key, known, now) for key in self.shipments))

    def confirm(self, outcomes: Iterable[Outcome]) -> Decision:
        """Decide by outcomes that were judged elsewhere, as far as their statuses bear them out.

        :param outcomes: what an event says.
        :return: as :meth:`decide`; what is not borne out counts as waiting.
        """
        said = {one.key: one for one in outcomes}
        return self._decision(tuple(self._borne_out(said.get(key) or Outcome(*key)) for key in self.shipments))

    def judged(self, key: ShipmentKey, known: Knowledge, now: float) -> Outcome:
        """What a shipment's status means for this wait.

        :param key: the shipment.
        :param known: the newest knowledge.
        :param now: unix seconds.
        :return: what is known, with its ``outcome``.
        """
        one = known.of(key)
        if one.status is None:
            return one
        if one.status in self.statuses:
            quiet = max(now - known.since(key, now), one.quiet_days * DAY)
            return replace(one, outcome=one.status if quiet >= self.settle_seconds else WAITING)
        if one.status in self.fail_on or one.kind in self.fail_on:
            return replace(one, outcome=one.kind or one.status)
        stuck = self.stuck_after is not None and one.quiet_days * DAY >= self.stuck_after
        return replace(one, outcome=STUCK if stuck else WAITING)

    def _borne_out(self, one: Outcome) -> Outcome:
        true = {
            NOT_REGISTERED: one.status is None,
            STUCK: one.status is not None and self.stuck_after is not None,
            RETURNED: one.kind == RETURNED and bool({RETURNED, "exception"} & self.fail_on),
        }
        if true.get(one.outcome, one.outcome == one.status and one.outcome in self.statuses | self.fail_on):
            return one
        return replace(one, outcome=WAITING)

    def _decision(self, outcomes: tuple[Outcome, ...]) -> Decision:
        arrived = tuple(one for one in outcomes if one.outcome in self.statuses)
        if len(arrived) >= self.needed:
            return Released(outcomes, arrived)
        unregistered = tuple(one for one in outcomes if one.outcome == NOT_REGISTERED)
        if unregistered:
            return Failed(outcomes, unregistered)
        lost = tuple(one for one in outcomes if one.outcome != WAITING and one.outcome not in self.statuses)
        if len(outcomes) - len(lost) < self.needed:
            return Failed(outcomes, lost)
        return Waiting(outcomes)


@dataclass(frozen=True)
class Verdict:
    """What has become of a whole wait.

    :param decisions: the decision for each order; one without a name where there are no orders.
    """

    decisions: Mapping[str | None, Decision]

    @property
    def result(self) -> Literal["waiting", "released", "failed"]:
        """``waiting`` while one is; then ``failed`` if one has failed."""
        if any(isinstance(one, Waiting) for one in self.decisions.values()):
            return "waiting"
        return "failed" if any(isinstance(one, Failed) for one in self.decisions.values()) else "released"

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """All shipments, order by order."""
        return tuple(one for decision in self.decisions.values() for one in decision.outcomes)

    @property
    def reason(self) -> str:
        """Why it failed; empty where it has not."""
        failed = [(name, one.reason) for name, one in self.decisions.items() if isinstance(one, Failed)]
        return listed([reason if name is None else f"order {name}: {reason}" for name, reason in failed])

    def timed_out(self) -> Verdict:
        """The same when the time is up: what is still waiting is not going to end well."""

        def out_of_time(one: Decision) -> Decision:
            if not isinstance(one, Waiting):
                return one
            outcomes = timed_out(one.outcomes)
            return Failed(outcomes, tuple(late for late in outcomes if late.outcome == TIMED_OUT))

        return Verdict({name: out_of_time(one) for name, one in self.decisions.items()})

    def entries(self) -> list[dict[str, Any]]:
        """Every shipment as plain data, with the name of its ``order`` where there is one."""
        return [
            one.as_dict() | ({} if name is None else {"order": name})
            for name, decision in self.decisions.items()
            for one in decision.outcomes
        ]

    def plain(self) -> list[dict[str, Any]]:
        """What a task returns: one entry per shipment, or per order.

        :return: an order's entry has ``order_id``, ``outcome``, ``delivered_at`` and its ``shipments``.
        """
        if None in self.decisions:
            return self.entries()
        return [_order(name, decision) for name, decision in self.decisions.items() if name is not None]


def _order(name: str, decision: Decision) -> dict[str, Any]:
    decisive: tuple[Outcome, ...] = ()
    if isinstance(decision, Released):
        decisive = decision.arrived
    elif isinstance(decision, Failed):
        decisive = decision.causes
    times = [one.delivered_at for one in decision.outcomes if one.delivered_at is not None]
    return {
        "order_id": name,
        "outcome": decisive[0].outcome if decisive else WAITING,
        "delivered_at": max(times) if times and isinstance(decision, Released) else None,
        "shipments": [one.as_dict() for one in decision.outcomes],
    }


@dataclass(frozen=True)
class Wait:
    """One task's wait: a goal, or one for each of several orders.

    :param goals: by the name of the order; a single one without a name where there are no orders.
    """

    goals: Mapping[str | None, Goal]

    @property
    def shipments(self) -> tuple[ShipmentKey, ...]:
        """All shipments, each once."""
        return tuple(dict.fromkeys(key for goal in self.goals.values() for key in goal.shipments))

    @property
    def reopens(self) -> bool:
        """Whether a delivered shipment must be looked at again before it counts."""
        return any(goal.settle_seconds > 0 for goal in self.goals.values())

    def decide(self, known: Knowledge, now: float) -> Verdict:
        """Decide whether the wait is over; see :meth:`Goal.decide`."""
        return Verdict({name: goal.decide(known, now) for name, goal in self.goals.items()})

    def confirm(self, entries: Mapping[str | None, Iterable[Outcome]]) -> Verdict:
        """Decide by what an event says; see :meth:`Goal.confirm`."""
        return Verdict({name: goal.confirm(entries.get(name, ())) for name, goal in self.goals.items()})

    def still_open(self, known: Knowledge, now: float) -> tuple[ShipmentKey, ...]:
        """The shipments that still have to be asked for.

        :param known: the newest knowledge of each.
        :param now: unix seconds.
        :return: those that have neither arrived nor failed, in order; a stuck one may move again.
        """
        return tuple(dict.fromkeys(one.key for one in self._judged(known, now) if one.outcome in (WAITING, STUCK)))

    def settling(self, known: Knowledge, now: float) -> tuple[ShipmentKey, ...]:
        """The shipments that have arrived but do not count yet: they must be looked at, not merely not have changed."""
        arrived = {status for goal in self.goals.values() for status in goal.statuses}
        return tuple(
            dict.fromkeys(
                one.key for one in self._judged(known, now) if one.outcome == WAITING and one.status in arrived
            )
        )

    def _judged(self, known: Knowledge, now: float) -> Iterator[Outcome]:
        for goal in self.goals.values():
            if isinstance(goal.decide(known, now), Waiting):
                for key in goal.shipments:
                    yield goal.judged(key, known, now)
