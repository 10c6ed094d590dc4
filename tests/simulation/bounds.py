"""By when a wait must have been shown the vendor's knowledge: within its interval and the allowances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.simulation import allowances
from tests.simulation.allowances import Span, after, gathering
from tests.simulation.belief import Belief
from tests.simulation.evidence import Evidence, Life, poke_interval, reconcile_seconds
from tests.simulation.parcels import Name, State
from tests.simulation.round_times import RoundTimes
from tests.simulation.scenario_run import CONNECT_SECONDS, Session

Known = tuple[float, float, float]
"""From when and until when the vendor knows something, and the interval within which a wait must be shown it."""


class Bounds(RoundTimes):
    """What one session of a wait must be shown, and by when.

    :param evidence: what happened.
    :param session: the session.
    :param life: that of its triggerer at its account.
    :param target: what the wait waits for.
    """

    def __init__(self, evidence: Evidence, session: Session, life: Life, target: Belief) -> None:
        super().__init__(evidence, session, life)
        self._wait = session
        self._target = target

    def shown_by(self, name: Name, begins: float, interval: float) -> float:
        """Return by when the wait must have been shown what the vendor knows about a shipment.

        :param begins: when the vendor begins to know it.
        :param interval: the interval within which the wait must be shown it.
        """
        excused = self._life.excuses.of([name])
        first = self._first_check(name, excused)
        settle = self._target.settle
        if begins == self.joined and self._was_checked_lately(name):
            begins = self._vendor.by_name[name].at(begins).since
        if begins != self.joined:
            slots = self.round(begins, interval, name)
            longest = max(interval, slots) + slots + self.trip
            first = max(first, after(begins, longest, excused))
        if settle and interval > 0:
            full = reconcile_seconds(self._wait)
            slots = self.round(first, settle + full, name)
            first = after(first, settle + max(full, slots) + slots + self.trip, excused)
        return first

    def _first_check(self, name: Name, excused: list[Span]) -> float:
        poke, wanted = poke_interval(self._wait), self._wait.first_check_at
        if wanted is None:
            wanted = self.joined + poke
        if wanted <= self.joined + allowances.GATHER_SECONDS:
            longest = min(poke, allowances.LONGEST_GATHER_SECONDS)
            wanted = gathering(self.joined, longest, self._life.joins)
        slots = self.round(wanted, 5.0, name)
        return after(self.joined, wanted - self.joined + CONNECT_SECONDS + slots + self.trip, excused)

    def _was_checked_lately(self, name: Name) -> bool:
        """Tell whether others had the shipment checked within this wait's interval, so that it needs no first check."""
        oldest = self.joined - poke_interval(self._wait) - allowances.PUBLISH_SECONDS
        sightings = self._life.sightings.get(name, ())
        known = [sighting for call, sighting in sightings if call.ended_at <= self.joined]
        if not known or known[-1].status is None:
            return False
        return known[-1].at >= oldest or any(oldest <= moment <= self.joined for moment in self._life.change_checks)

    def _spans(self, name: Name) -> Iterator[tuple[float, float, State, float]]:
        """Yield every state of a shipment that the wait can see, with the interval within which it must see it."""
        delivered = False
        for begins, ends, state in self._states(name, self.joined, self._wait.ends):
            known = begins == self.joined and self._was_checked_lately(name)
            changed = state.found_by_change and (begins == state.since or known)
            poke, reconcile = poke_interval(self._wait), reconcile_seconds(self._wait)
            if delivered and not self._target.settle and state.status != "delivered":
                return  # a delivered shipment stays delivered, even if it is in transit again
            delivered = delivered or state.status == "delivered"
            yield begins, ends, state, min(poke, reconcile) if changed else reconcile

    def arrivals(self, name: Name) -> list[Known]:
        """Return when a shipment has a status that the wait waits for."""
        found = [
            (begins, ends, interval)
            for begins, ends, state, interval in self._spans(name)
            if state.status in self._target.statuses
        ]
        return found if self._target.settle else _joined(found)  # another status has to settle again

    def losses(self, name: Name) -> list[Known]:
        """Return when a shipment has a status that the wait fails on."""
        found = []
        for begins, ends, state, interval in self._spans(name):
            if state.status in self._target.statuses or state.status is None:
                continue
            returned = state.status == "exception" and state.substatus in ("exception010", "exception011")
            if state.status in self._target.fail_on or (returned and "returned" in self._target.fail_on):
                found.append((begins, ends, interval))
        return _joined(found)

    def missing(self, name: Name) -> list[Known]:
        """Return when a shipment is not registered."""
        reconcile = reconcile_seconds(self._wait)
        return [(begins, ends, reconcile) for begins, ends, state, _ in self._spans(name) if state.status is None]


def _joined(found: Iterable[Known]) -> list[Known]:
    """Join states that follow each other without a gap, with the interval of the first."""
    result: list[Known] = []
    for begins, ends, interval in found:
        if result and result[-1][1] >= begins:
            result[-1] = (result[-1][0], ends, result[-1][2])
        else:
            result.append((begins, ends, interval))
    return result
