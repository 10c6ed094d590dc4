"""The state machine of a wait: from updates of its shipments it decides whether it is waiting, released or failed.

The sensor uses it in every mode, and so does the trigger. It is incremental: the cost of an update depends on the
shipments that changed, not on the size of the wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.history import History
from airflow_provider_trackingmore.waiting.observation import Observation
from airflow_provider_trackingmore.waiting.outcome import (
    OrderVerdict,
    Outcome,
    ShipmentOutcome,
    Verdict,
    WaitResult,
    outcome_of_status,
)
from airflow_provider_trackingmore.waiting.spec import WaitSpec

DAY = 86_400.0


class Condition:
    """The current state of a wait.

    :param spec: the options of the wait.
    """

    def __init__(self, spec: WaitSpec) -> None:
        self.spec = spec
        self._history = History(reopens=spec.reopens)
        self._outcomes: dict[ShipmentKey, ShipmentOutcome] = {}
        self._orders: dict[str | None, _OrderState] = {}
        self._waiting = 0
        self._orders_of: dict[ShipmentKey, tuple[_OrderState, ...]] = {}
        self._open: dict[ShipmentKey, ShipmentKey] = {}
        self._settling: set[ShipmentKey] = set()
        for name, shipments in spec.orders.items():
            order = self._orders[name] = _OrderState(shipments, spec.needed(name))
            if order.result is WaitResult.WAITING:
                self._waiting += 1
                for normalized, key in shipments.items():
                    self._orders_of[normalized] = (*self._orders_of.get(normalized, ()), order)
                    self._open.setdefault(normalized, key)
        self._closed: list[ShipmentKey] = []
        self._changed: dict[_OrderState, None] = {}

    def is_over(self) -> bool:
        """Tell whether every order is decided."""
        return self._waiting == 0

    @property
    def open(self) -> Mapping[ShipmentKey, ShipmentKey]:
        """The shipments that must still be checked: normalized key -> as the user spelled it."""
        return dict(self._open)

    @property
    def open_outcomes(self) -> list[Outcome]:
        """The outcomes so far of the shipments that must still be checked."""
        return [self._outcome(key, normalized) for normalized, key in self._open.items()]

    def count_statuses(self) -> dict[str, int]:
        """Count the shipments by their newest status; those that have not been checked yet are left out."""
        return self._history.count_statuses()

    def is_open(self, key: ShipmentKey) -> bool:
        """Tell whether a shipment must still be checked.

        :param key: the shipment, normalized.
        """
        return key in self._open

    def take_closed(self) -> list[ShipmentKey]:
        """Return the shipments, normalized, that have stopped needing checks since the last call."""
        closed, self._closed = self._closed, []
        return closed

    def is_settling(self, key: ShipmentKey) -> bool:
        """Tell whether a shipment has arrived but not for long enough: each check of it counts, changed or not.

        :param key: the shipment, normalized.
        """
        return key in self._settling

    def update(self, key: ShipmentKey, observed: Observation, now: float) -> None:
        """Process the result of a check of one shipment. Call :meth:`decide` afterwards.

        :param key: the shipment, normalized; one that is not part of the wait, or needs no more checks, is ignored.
        :param observed: its state at the check.
        :param now: Unix seconds.
        """
        if key not in self._open:
            return
        before = self._outcomes.get(key, ShipmentOutcome.WAITING)
        newest = self._history.update(key, observed, now)
        after = self._judge(key, newest, now)
        if after is ShipmentOutcome.WAITING and newest.status in self.spec.statuses:
            self._settling.add(key)
        else:
            self._settling.discard(key)
        if after is before:
            return
        self._outcomes[key] = after
        if after not in (ShipmentOutcome.WAITING, ShipmentOutcome.STUCK):
            self._close(key)
        for order in self._orders_of[key]:
            if order.result is WaitResult.WAITING:
                order.count(before, after, self.spec.statuses)
                self._changed[order] = None

    def decide(self) -> None:
        """Decide the orders that have been updated since the last call. Call it once for all updates of a response."""
        changed, self._changed = self._changed, {}
        for order in changed:
            order.decide()
            if order.result is WaitResult.WAITING:
                continue
            order.verdict = self._order_verdict(order)
            self._waiting -= 1
            for normalized in order.shipments:
                if normalized in self._open and all(
                    other.result is not WaitResult.WAITING for other in self._orders_of[normalized]
                ):
                    self._close(normalized)

    def verdict(self) -> Verdict:
        """Return the current verdict, with an outcome for every shipment."""
        return Verdict({name: order.verdict or self._order_verdict(order) for name, order in self._orders.items()})

    def _judge(self, key: ShipmentKey, observed: Observation, now: float) -> ShipmentOutcome:
        """Judge what the state of a shipment means for this wait."""
        spec = self.spec
        if observed.status is None:
            return ShipmentOutcome.NOT_REGISTERED
        outcome = outcome_of_status(observed)
        if observed.status in spec.statuses:
            quiet = max(now - self._history.since(key), observed.quiet_days * DAY)
            return ShipmentOutcome(observed.status) if quiet >= spec.settle_seconds else ShipmentOutcome.WAITING
        if outcome is not None and (observed.status in spec.fail_on or outcome.value in spec.fail_on):
            return outcome
        if spec.stuck_after is not None and observed.quiet_days * DAY >= spec.stuck_after:
            return ShipmentOutcome.STUCK
        return ShipmentOutcome.WAITING

    def _order_verdict(self, order: _OrderState) -> OrderVerdict:
        outcomes = tuple(self._outcome(key, normalized) for normalized, key in order.shipments.items())
        return decide(outcomes, order.needed, self.spec.statuses)

    def _outcome(self, key: ShipmentKey, normalized: ShipmentKey) -> Outcome:
        return Outcome(key, self._history.get(normalized), self._outcomes.get(normalized, ShipmentOutcome.WAITING))

    def _close(self, key: ShipmentKey) -> None:
        if key in self._open:
            del self._open[key]
            self._settling.discard(key)
            self._closed.append(key)


class _OrderState:
    """The counts of one order. Its result is final once it is not ``waiting``."""

    __slots__ = ("_arrived", "_lost", "_unregistered", "needed", "result", "shipments", "verdict")

    def __init__(self, shipments: Mapping[ShipmentKey, ShipmentKey], needed: int) -> None:
        self.shipments = shipments
        self.needed = needed
        self.verdict: OrderVerdict | None = None
        self._arrived = self._lost = self._unregistered = 0
        self.result = WaitResult.WAITING if needed else WaitResult.RELEASED

    def count(self, before: ShipmentOutcome, after: ShipmentOutcome, arrived: frozenset[str]) -> None:
        """Move one shipment from the count of its old outcome to that of its new one."""
        for outcome, change in ((before, -1), (after, 1)):
            if outcome in arrived:
                self._arrived += change
            elif outcome is not ShipmentOutcome.WAITING:
                self._lost += change
                self._unregistered += change * (outcome is ShipmentOutcome.NOT_REGISTERED)

    def decide(self) -> None:
        """Decide the order from its counts."""
        if self._arrived >= self.needed:
            self.result = WaitResult.RELEASED
        elif self._unregistered or len(self.shipments) - self._lost < self.needed:
            self.result = WaitResult.FAILED


def decide(outcomes: Sequence[Outcome], needed: int, statuses: frozenset[str]) -> OrderVerdict:
    """Decide one order from the outcomes of its shipments.

    :param outcomes: one per shipment.
    :param needed: how many must arrive.
    :param statuses: the statuses that count as arrived.
    :return: ``released`` as soon as enough have arrived; ``failed`` as soon as too few still can, or one is not
        registered; ``waiting`` otherwise.
    """
    outcomes = tuple(outcomes)
    arrived = tuple(outcome for outcome in outcomes if outcome.outcome in statuses)
    if len(arrived) >= needed:
        return OrderVerdict(WaitResult.RELEASED, outcomes, arrived)
    unregistered = tuple(outcome for outcome in outcomes if outcome.outcome is ShipmentOutcome.NOT_REGISTERED)
    if unregistered:
        return OrderVerdict(WaitResult.FAILED, outcomes, unregistered)
    not_lost = (ShipmentOutcome.WAITING, ShipmentOutcome.TIMED_OUT)
    lost = tuple(outcome for outcome in outcomes if outcome.outcome not in not_lost and outcome.outcome not in statuses)
    if len(outcomes) - len(lost) < needed:
        return OrderVerdict(WaitResult.FAILED, outcomes, lost)
    return OrderVerdict(WaitResult.WAITING, outcomes)


def confirm(spec: WaitSpec, orders: Mapping[str | None, Sequence[Outcome]]) -> Verdict:
    """Decide from outcomes that another process reported. An outcome that contradicts its status counts as waiting.

    :param spec: the options of the wait.
    :param orders: the reported outcomes of each order, in the user's order.
    :return: the verdict.
    """
    return Verdict(
        {
            name: decide([_confirmed(spec, outcome) for outcome in orders[name]], spec.needed(name), spec.statuses)
            for name in spec.orders
        }
    )


def _confirmed(spec: WaitSpec, reported: Outcome) -> Outcome:
    status = reported.observed.status if reported.observed is not None else None
    by_status = outcome_of_status(reported.observed) if reported.observed is not None else None
    fails = status in spec.fail_on or (by_status is not None and by_status.value in spec.fail_on)
    plausible = {
        ShipmentOutcome.NOT_REGISTERED: reported.observed is not None and status is None,
        ShipmentOutcome.STUCK: status is not None and spec.stuck_after is not None,
        ShipmentOutcome.RETURNED: by_status is ShipmentOutcome.RETURNED and fails,
    }
    if plausible.get(reported.outcome, reported.outcome == status and (status in spec.statuses or fails)):
        return reported
    return Outcome(reported.key, reported.observed)
