"""How long the calls take that the triggerers of an account may have to make around a moment."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tests.simulation import allowances
from tests.simulation.allowances import after
from tests.simulation.call_rules import calls_a_second
from tests.simulation.evidence import Evidence, Life, joined_at, names_of
from tests.simulation.hints import hint_calls
from tests.simulation.network import Call
from tests.simulation.parcels import NOT_REGISTERED, Name, State
from tests.simulation.scenario_run import Session, WatchSession
from tests.simulation.vendor import SLOT_SECONDS
from tests.simulation.watchers import is_watched, list_calls, watch_calls

HALVES = 2


class RoundTimes:
    """How long the calls of an account take.

    :param evidence: what happened.
    :param session: one run of a wait or a watcher.
    :param life: that of its triggerer at its account.
    """

    def __init__(self, evidence: Evidence, session: Session | WatchSession, life: Life) -> None:
        self.joined = joined_at(session)
        self._evidence = evidence
        self._session = session
        self._life = life
        self._vendor = evidence.record.vendors[session.plan.account]
        self._rounds: dict[tuple[float, float, bool, bool, bool], float] = {}

    @property
    def trip(self) -> float:
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
            watched = watch_calls(self._evidence, account, life, moment, until)
            if not present and not watched:
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
                first_round = (
                    sum(is_watched(watch, moment, until) for watch in life.watches)
                    * 2
                    * list_calls(self._vendor, moment)
                )
                others.append((polls + first_round, coming + unconfirmed + watched))
                continue
            own = watched
            if mine:
                turns = 2 * unconfirmed if self._halved_numbers(moment) else unconfirmed  # halves come in between
                first = min(allowances.POLLS_BEFORE_CONFIRMATION * turns, coming)
                own += turns + max(first, polls)
            else:
                ending = [
                    session
                    for session in life.sessions
                    if moment - allowances.DEADLINE_SECONDS <= _last_check_at(session) <= min(until, session.ends)
                ]
                last = doubtful.intersection(
                    name for session in ending for name in names_of(session)
                )  # they come first
                own += polls + hinted + min(unconfirmed, polls + hinted + len(last))
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


def _last_check_at(session: Session) -> float:
    """Return when a session makes its last check: at its deadline, or when it joins if that has passed."""
    return max(session.plan.options.get("deadline", math.inf), session.begins)
