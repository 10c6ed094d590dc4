"""By when a wait must have been shown the vendor's knowledge: within its interval and the allowances."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from tests.simulation import allowances
from tests.simulation.allowances import Span, after, gathering
from tests.simulation.belief import Belief
from tests.simulation.call_rules import calls_a_second
from tests.simulation.evidence import Evidence, Life, joined_at, names_of, poke_interval, reconcile_seconds
from tests.simulation.hints import hint_calls
from tests.simulation.network import Call
from tests.simulation.parcels import NOT_REGISTERED, Name, State
from tests.simulation.scenario_run import CONNECT_SECONDS, Session
from tests.simulation.vendor import SLOT_SECONDS

HALVES = 2

Known = tuple[float, float, float]
"""From when and until when the vendor knows something, and the interval within which a wait must be shown it."""


class Bounds:
    """What one session of a wait must be shown, and by when.

    :param evidence: what happened.
    :param session: the session.
    :param life: that of its triggerer at its account.
    :param target: what the wait waits for.
    """

    def __init__(self, evidence: Evidence, session: Session, life: Life, target: Belief) -> None:
        self.joined = joined_at(session)
        self._evidence = evidence
        self._session = session
        self._life = life
        self._target = target
        self._vendor = evidence.record.vendors[session.plan.account]
        self._rounds: dict[tuple[float, float, bool, bool, bool], float] = {}

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
        """Tell whether others had the shipment checked within this wait's interval, so that it needs no first check."""
        oldest = self.joined - poke_interval(self._session) - allowances.PUBLISH_SECONDS
        sightings = self._life.sightings.get(name, ())
        known = [sighting for call, sighting in sightings if call.ended_at <= self.joined]
        if not known or known[-1].status is None:
            return False
        return known[-1].at >= oldest or any(oldest <= moment <= self.joined for moment in self._life.change_checks)

    @property
    def _trip(self) -> float:
        """The time of one call, with the connection that it may need."""
        _, longest = self._latency
        return 4 * longest + allowances.SPREAD_SECONDS

    @property
    def seconds_per_call(self) -> float:
        """How long a call delays the next one."""
        return SLOT_SECONDS + self._latency[1] + allowances.SPREAD_SECONDS

    @property
    def _latency(self) -> tuple[float, float]:
        return next(
            plan.latency for plan in self._evidence.record.scenario.accounts if plan.name == self._session.plan.account
        )

    def round(self, moment: float, length: float, name: Name | None = None) -> float:
        """Return the seconds that all calls take that the triggerers of the account may have to make around a moment.

        :param length: the time after ``moment`` in which further calls may come first.
        :param name: the shipment in question. If it must be confirmed, all other confirmations may come first.
        """
        mine = name is not None and self._needs_confirmation(name, moment, moment + length + 30.0)
        retried = name is not None and name[1] in self._failed_numbers(moment)
        halved = name is not None and name[1] in self._halved_numbers(moment)
        kind = moment, length, mine, retried, halved
        known = self._rounds.get(kind)
        if known is None:
            known = self._round(moment, length + 30.0, mine=mine, retried=retried, halved=halved)
            self._rounds[kind] = known
        return known

    def _round(self, moment: float, lasts: float, *, mine: bool, retried: bool, halved: bool) -> float:
        """Count the calls. While they are made, or all calls pause, more calls may come first."""
        seconds = 0.0
        for _ in range(5):
            until = after(moment, lasts, self._life.excuses.everybody)
            calls = self._count_round(moment, until, mine=mine, halved=halved)
            if mine or retried:  # after an outage, each shipment of a call that failed may take a call of its own
                calls += len(self._failed_numbers(moment))
            seconds = calls * self.seconds_per_call
            if seconds <= lasts:
                break
            lasts = seconds
        return seconds

    def _count_round(self, moment: float, until: float, *, mine: bool, halved: bool) -> int:
        own = 0
        others: list[tuple[int, int]] = []
        for (_, account), life in self._evidence.lives.items():
            if account != self._session.plan.account:
                continue
            present = [session for session in life.sessions if session.begins <= until and session.ends >= moment]
            if not present:
                continue
            names = {name for session in present for name in names_of(session)}
            habits = self._vendor.habits
            # A list that was abandoned, because few shipments were due then, is not read again for some minutes.
            by_number, by_list = habits.number_calls(len(names)), habits.pages(self._vendor.rows(moment))
            polls = (by_number if by_list > 1 else min(by_number, by_list)) + 1
            hinted = hint_calls(self._evidence, account, life, moment - allowances.HINT_SECONDS, until)
            coming = math.ceil(calls_a_second(self._evidence, account, present, moment) * (until - moment)) + hinted
            doubtful = names & self._evidence.doubtful[account]
            unconfirmed = sum(1 for name in doubtful if self._needs_confirmation(name, moment, until))
            if life is not self._life:
                others.append((polls, coming + unconfirmed))
                continue
            if mine:
                turns = 2 * unconfirmed if self._halved_numbers(moment) else unconfirmed  # halves come in between
                first = min(allowances.POLLS_BEFORE_CONFIRMATION * turns, coming)
                own = turns + max(first, polls)
            else:
                ending = [
                    session
                    for session in life.sessions
                    if moment - allowances.DEADLINE_SECONDS <= _last_check_at(session) <= min(until, session.ends)
                ]
                last = doubtful.intersection(
                    name for session in ending for name in names_of(session)
                )  # they come first
                own = polls + hinted + min(unconfirmed, polls + hinted + len(last))
                if halved:  # both halves and some confirmations take their turns among the polls
                    turns = HALVES + min(unconfirmed, HALVES) + len(last)
                    own += turns + min(allowances.POLLS_BEFORE_CONFIRMATION * turns, coming)
        # Triggerers with many calls to make alternate.
        return own + sum(allowances.LOST_SLOTS + max(polls, min(own, coming)) for polls, coming in others)

    def _failed_numbers(self, moment: float) -> frozenset[str]:
        """The numbers of calls that failed for another reason than one of these numbers."""
        failed = self._failed_calls(moment)
        return frozenset[str]().union(*(call.numbers for call in failed if not call.cause.startswith("poison")))

    def _halved_numbers(self, moment: float) -> frozenset[str]:
        """The numbers of calls that failed because of another one of their numbers."""
        failed = self._failed_calls(moment)
        return frozenset[str]().union(*(call.numbers for call in failed if call.cause.startswith("poison")))

    def _failed_calls(self, moment: float) -> list[Call]:
        """Return the calls whose retry may still be to come at a moment. While all calls pause, so do retries."""
        pauses = self._life.excuses.everybody
        return [
            call
            for call in self._life.calls
            if call.result == "failed"
            and call.ended_at < self._session.ends
            and after(call.ended_at, allowances.LONGEST_BACK_OFF, pauses) > moment
        ]

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
        """Yield every state of a shipment that the wait can see, with the interval within which it must see it."""
        delivered = False
        for begins, ends, state in self._states(name, self.joined, self._session.ends):
            known = begins == self.joined and self._was_checked_lately(name)
            changed = state.found_by_change and (begins == state.since or known)
            poke, reconcile = poke_interval(self._session), reconcile_seconds(self._session)
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
        reconcile = reconcile_seconds(self._session)
        return [(begins, ends, reconcile) for begins, ends, state, _ in self._spans(name) if state.status is None]


def _last_check_at(session: Session) -> float:
    """Return when a session makes its last check: at its deadline, or when it joins if that has passed."""
    return max(session.plan.options.get("deadline", math.inf), session.begins)


def _joined(found: Iterable[Known]) -> list[Known]:
    """Join states that follow each other without a gap, with the interval of the first."""
    result: list[Known] = []
    for begins, ends, interval in found:
        if result and result[-1][1] >= begins:
            result[-1] = (result[-1][0], ends, result[-1][2])
        else:
            result.append((begins, ends, interval))
    return result
