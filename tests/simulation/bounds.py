"""By when a wait must have been shown what the vendor knew: within its interval and the allowances."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from tests.simulation import allowances
from tests.simulation.allowances import Span, after, gathering
from tests.simulation.belief import Belief
from tests.simulation.call_rules import calls_a_second
from tests.simulation.evidence import Evidence, Life, names_of, poke_interval, reconcile_seconds
from tests.simulation.parcels import NOT_REGISTERED, Name, State
from tests.simulation.vendor import SLOT_SECONDS
from tests.simulation.world import CONNECT_SECONDS, Session

Known = tuple[float, float, float]
"""From when until when the vendor knows something, and the interval within which a wait must be shown it."""


class Bounds:
    """What one session of a wait must be shown, and by when.

    :param evidence: what happened.
    :param session: the session.
    :param life: that of its triggerer at its account.
    :param target: what the wait waits for.
    """

    def __init__(self, evidence: Evidence, session: Session, life: Life, target: Belief) -> None:
        self.joined = session.keys[0][0] if session.keys else session.begins
        self._evidence = evidence
        self._session = session
        self._life = life
        self._target = target
        self._vendor = evidence.record.vendors[session.plan.account]
        self._rounds: dict[tuple[float, float, bool], int] = {}

    def shown_by(self, name: Name, begins: float, interval: float) -> float:
        """When the wait must have been shown at the latest what the vendor knows of a shipment.

        :param begins: from when on the vendor knows it.
        :param interval: the interval within which the wait must be shown it.
        """
        excused = self._life.troubles.of([name])
        first = self._first_check(name, excused)
        settle = self._target.settle
        if begins == self.joined and self._was_checked_lately(name):
            begins = self._vendor.by_name[name].at(begins).since
        if begins != self.joined:
            slots = self.round(begins, interval, name)
            longest = max(interval, slots) + slots + self._trip
            first = max(first, after(begins, longest, excused))
        if settle and interval > 0:
            full = reconcile_seconds(self._session)
            slots = self.round(first, settle + full, name)
            first = after(first, settle + max(full, slots) + slots + self._trip, excused)
        return first

    def _first_check(self, name: Name, excused: list[Span]) -> float:
        poke, wanted = poke_interval(self._session), self._session.first_check_at
        if wanted is None:
            wanted = self.joined + poke
        if wanted <= self.joined + allowances.GATHER_SECONDS:
            longest = min(poke, allowances.LONGEST_GATHER_SECONDS)
            wanted = gathering(self.joined, longest, self._life.joins)
        slots = self.round(wanted, 5.0, name)
        return after(self.joined, wanted - self.joined + CONNECT_SECONDS + slots + self._trip, excused)

    def _was_checked_lately(self, name: Name) -> bool:
        """Whether others have had the shipment checked within this wait's interval, so that it needs no first check."""
        oldest = self.joined - poke_interval(self._session) - allowances.PUBLISH_SECONDS
        sights = self._life.sights.get(name, ())
        known = [sight for call, sight in sights if call.ended_at <= self.joined]
        if not known or known[-1].status is None:
            return False
        return known[-1].at >= oldest or any(oldest <= moment <= self.joined for moment in self._life.change_checks)

    @property
    def _trip(self) -> float:
        """One call, and the connection that it may need."""
        _, longest = self._latency
        return 4 * longest + allowances.SPREAD_SECONDS

    @property
    def _latency(self) -> tuple[float, float]:
        return next(
            plan.latency for plan in self._evidence.record.scenario.accounts if plan.name == self._session.plan.account
        )

    def round(self, moment: float, length: float, name: Name | None = None) -> float:
        """Seconds for one call each of all that every triggerer of the account may have to ask just then.

        :param length: of the time after ``moment`` in which they may come in its way.
        :param name: the shipment in question; one that must be confirmed comes after all others that must.
        """
        mine = name is not None and self._needs_confirmation(name, moment, moment + length + 30.0)
        known = self._rounds.get((moment, length, mine))
        if known is None:
            known = self._rounds[moment, length, mine] = self._count_round(moment, moment + length + 30.0, mine=mine)
        return known * (SLOT_SECONDS + self._latency[1] + allowances.SPREAD_SECONDS)

    def _count_round(self, moment: float, until: float, *, mine: bool) -> int:
        calls = 0
        for (_, account), life in self._evidence.lives.items():
            if account != self._session.plan.account:
                continue
            present = [one for one in life.sessions if one.begins <= until and one.ends >= moment]
            if not present:
                continue
            if life is not self._life:
                busy = min(min(poke_interval(one), reconcile_seconds(one)) for one in present) < allowances.BUSY_SECONDS
                calls += allowances.SLOTS_LOST_TO_BUSY if busy else allowances.LOST_SLOTS
            names = {name for one in present for name in names_of(one)}
            habits = self._vendor.habits
            # A list that was given up half-way, since few shipments were due then, is not read again for some minutes.
            by_number, by_list = habits.number_calls(len(names)), habits.pages(self._vendor.rows(moment))
            polls = (by_number if by_list > 1 else min(by_number, by_list)) + 1
            calls += polls
            if life is self._life:
                doubtful = names & self._evidence.doubtful[account]
                unconfirmed = sum(1 for one in doubtful if self._needs_confirmation(one, moment, until))
                if mine:
                    coming = math.ceil(calls_a_second(self._evidence, account, present, moment) * (until - moment))
                    first = min(allowances.POLLS_BEFORE_CONFIRMATION * unconfirmed, coming)
                    calls += unconfirmed + max(first - polls, 0)
                else:
                    calls += min(unconfirmed, polls)
        return calls

    def _needs_confirmation(self, name: Name, begins: float, ends: float) -> bool:
        return name in self._evidence.doubtful[self._session.plan.account] and any(
            state.status is None or not state.in_numbers for _, _, state in self._states(name, begins, ends)
        )

    def _states(self, name: Name, begins: float, ends: float) -> Iterator[tuple[float, float, State]]:
        parcel = self._vendor.by_name.get(name)
        if parcel is None:
            yield begins, math.inf, NOT_REGISTERED
            return
        for index in range(parcel.index(begins), len(parcel.states)):
            state = parcel.states[index] if index >= 0 else NOT_REGISTERED
            since, until = max(begins, state.since), parcel.until(index)
            if since > ends:
                return
            yield since, until, state

    def _spans(self, name: Name) -> Iterator[tuple[float, float, State, float]]:
        """Every state of a shipment that the wait can see, with the interval within which it must."""
        delivered = False
        for begins, ends, state in self._states(name, self.joined, self._session.ends):
            known = begins == self.joined and self._was_checked_lately(name)
            changed = state.found_by_change and (begins == state.since or known)
            poke, reconcile = poke_interval(self._session), reconcile_seconds(self._session)
            if delivered and not self._target.settle and state.status != "delivered":
                return  # a delivered shipment that is on its way again stays delivered
            delivered = delivered or state.status == "delivered"
            yield begins, ends, state, min(poke, reconcile) if changed else reconcile

    def arrivals(self, name: Name) -> list[Known]:
        """When a shipment has a status that the wait waits for."""
        found = [
            (begins, ends, interval)
            for begins, ends, state, interval in self._spans(name)
            if state.status in self._target.statuses
        ]
        return found if self._target.settle else _joined(found)  # another status has to settle anew

    def losses(self, name: Name) -> list[Known]:
        """When a shipment has a status that the wait fails on."""
        found = []
        for begins, ends, state, interval in self._spans(name):
            if state.status in self._target.statuses or state.status is None:
                continue
            returned = state.status == "exception" and state.substatus in ("exception010", "exception011")
            if state.status in self._target.fail_on or (returned and "returned" in self._target.fail_on):
                found.append((begins, ends, interval))
        return _joined(found)

    def missing(self, name: Name) -> list[Known]:
        """When a shipment is not registered."""
        reconcile = reconcile_seconds(self._session)
        return [(begins, ends, reconcile) for begins, ends, state, _ in self._spans(name) if state.status is None]


def _joined(found: Iterable[Known]) -> list[Known]:
    """Join what follows without a gap; the interval of the first counts."""
    result: list[Known] = []
    for begins, ends, interval in found:
        if result and result[-1][1] >= begins:
            result[-1] = (result[-1][0], ends, result[-1][2])
        else:
            result.append((begins, ends, interval))
    return result
