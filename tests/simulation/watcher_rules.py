"""The rules for watchers: ``unreported`` and ``outdated``."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator

from tests.simulation import allowances
from tests.simulation.allowances import Span, after, merged
from tests.simulation.belief import STAGES
from tests.simulation.evidence import Evidence, Life, Violation, joined_at, offset
from tests.simulation.loop import BEGINNING
from tests.simulation.parcels import Name, Parcel, State
from tests.simulation.round_times import RoundTimes
from tests.simulation.scenario_run import Reported, Watcher, WatchSession
from tests.simulation.watchers import is_failure, is_watched, list_calls

FINAL = ("delivered", "expired")


def check_watchers(evidence: Evidence) -> Iterator[Violation]:
    """Apply the rules for watchers.

    :param evidence: what happened.
    """
    for watcher in evidence.record.watchers:
        yield from WatcherJudge(evidence, watcher).violations()


class WatcherJudge:
    """Judges one watcher by what it reported.

    :param evidence: what happened.
    :param watcher: the watcher.
    """

    def __init__(self, evidence: Evidence, watcher: Watcher) -> None:
        self.evidence = evidence
        self.watcher = watcher
        self.vendor = evidence.record.vendors[watcher.plan.account]
        self.noted_at = watcher.storage.first_stored_at
        self.begins = min((session.begins for session in watcher.sessions), default=math.inf)
        self.reports: dict[Name, list[Reported]] = defaultdict(list)
        known: set[str] = set()
        for report in (report for session in watcher.sessions for report in session.reports):
            if report.id not in known:  # a change may be reported again after a restart
                known.add(report.id)
                self.reports[report.name].append(report)

    def violations(self) -> Iterator[Violation]:
        """Yield what is wrong."""
        for session in self.watcher.sessions:
            if session.ended == "crashed":
                yield self._violation("crash", session, f"ended by {type(session.error).__name__}: {session.error}")
            yield from self._unreported(session)
        yield from self._outdated()

    def _violation(self, rule: str, session: WatchSession, text: str) -> Violation:
        return Violation(rule, f"{self.watcher.plan.name} on {session.triggerer}: {text}")

    # What it must report ---------------------------------------------------------------------------------------------

    def _unreported(self, session: WatchSession) -> Iterator[Violation]:
        """Each change that the vendor's lists show is reported within the interval, slots and trouble."""
        life = self.evidence.lives[session.triggerer, session.plan.account]
        bounds = WatchBounds(self.evidence, session, life)
        first = bounds.shown_by(bounds.joined, 0.0)
        if first < min(session.ends, self.noted_at) - allowances.PUBLISH_SECONDS:
            yield self._violation("unreported", session, f"its first round had to end by {offset(first)}")
            return
        for parcel in self.vendor.parcels:
            for index, state in enumerate(parcel.states):
                if state.since <= self.noted_at or state.since >= session.ends or not state.in_list:
                    continue
                begins = max(state.since, bounds.joined)
                if state.status is None or parcel.until(index) <= begins:
                    continue
                latest = bounds.shown_by(begins, self._interval(state))
                if latest + allowances.PUBLISH_SECONDS >= min(session.ends, parcel.until(index)):
                    continue
                if self._must_report(parcel, index) and not self._knows(parcel, state, latest):
                    yield self._violation(
                        "unreported",
                        session,
                        f"{parcel.name[1]} was {state.status} from {offset(state.since)} on, which it had to report by "
                        f"{offset(latest)}",
                    )

    def _interval(self, state: State) -> float:
        plan = self.watcher.plan
        # A date in the future may move the beginning of the list of changes.
        by_change = state.found_by_change and "odd updates" not in self.evidence.record.scenario.themes
        return plan.interval if by_change else plan.reconcile_seconds

    def _must_report(self, parcel: Parcel, index: int) -> bool:
        """Tell whether a state is a change in any case, although the shipment may have been forgotten as settled."""
        settled = index > 0 and parcel.states[index - 1].status in FINAL and parcel.states[index - 1].since < BEGINNING
        state = parcel.states[index]
        return not settled or (state.found_by_change and state.status not in FINAL)

    def _knows(self, parcel: Parcel, state: State, at: float) -> bool:
        """Tell whether the watcher knows a state at some time, or something that the state does not replace."""
        reports = self.reports.get(parcel.name, [])
        number = bisect_right(reports, at + allowances.PUBLISH_SECONDS, key=lambda report: report.at)
        if number:
            known = {reports[number - 1].status}
        else:
            known = {
                other.status
                for index, other in enumerate(parcel.states)
                if other.status is not None and other.since <= self.noted_at and parcel.until(index) >= self.begins
            }
        return any(state.status == status or not _replaces(state.status or "", status) for status in known)

    # What it must not report -----------------------------------------------------------------------------------------

    def _outdated(self) -> Iterator[Violation]:
        """What it reports of a shipment comes in the order in which it happened, and has happened."""
        session = self.watcher.sessions[-1] if self.watcher.sessions else None
        for name, reports in self.reports.items():
            parcel = self.vendor.by_name.get(name)
            index = parcel.index(self.begins) if parcel is not None else -1
            for report in reports:
                found = None if parcel is None else _next_state(parcel, index, report)
                if found is None:
                    assert session is not None
                    text = f"reported {name[1]} {report.status} at {offset(report.at)}: it had known something newer"
                    yield self._violation("outdated", session, text)
                    break
                index = found


class WatchBounds:
    """By when one run of a watcher must have been shown what the lists show.

    :param evidence: what happened.
    :param session: the run of the watcher.
    :param life: that of its triggerer at its account.
    """

    def __init__(self, evidence: Evidence, session: WatchSession, life: Life) -> None:
        self.joined = joined_at(session)
        self._evidence = evidence
        self._session = session
        self._life = life
        self._vendor = evidence.record.vendors[session.plan.account]
        self._times = RoundTimes(evidence, session, life)
        self._round = 2 * list_calls(self._vendor, session.begins) * self._times.seconds_per_call
        self._excused = merged([*life.excuses.everybody, *self._own_excuses(life)])

    def shown_by(self, begins: float, interval: float) -> float:
        """Return by when a state must have been shown to it.

        :param begins: when the vendor begins to know it, or the watcher joins.
        :param interval: the interval within which a check must show it.
        """
        wait = min(allowances.GATHER_SECONDS, self._session.plan.poke_interval) if begins == self.joined else 0.0
        slots = self._calls(begins, begins + interval) * self._times.seconds_per_call
        return after(begins, wait + max(interval, slots) + slots + self._times.trip, self._excused)

    def _calls(self, begins: float, ends: float) -> int:
        """Count the calls before the end of its round: lists for waits, and a round of each watcher.

        Waits come first after each round. Between two pages of a list, waits that are late are checked by number.
        """
        lists, pages = list_calls(self._vendor, begins), self._vendor.habits.pages(self._vendor.rows(begins))
        watches = sum(is_watched(watch, begins, ends) for watch in self._life.watches)
        own = 2 * pages - 1 + watches * (2 * (2 * lists - 1) + 1 + 2 * pages - 1)
        others = sum(
            life is not self._life and bool(life.sessions or life.watches)
            for (_, account), life in self._evidence.lives.items()
            if account == self._session.plan.account
        )
        return own + others * (allowances.LOST_SLOTS + own)  # triggerers with many calls to make alternate

    def _own_excuses(self, life: Life) -> Iterator[Span]:
        """Yield the pauses of the watcher. A round that fails is repeated from its beginning."""
        began = until = -math.inf
        for call in sorted((*life.calls, *life.probes), key=lambda call: call.departed_at):
            if not is_failure(call) or math.isinf(call.ended_at):
                continue
            if call.departed_at > until + self._round:
                began = call.departed_at
            until = call.ended_at + call.cool_down + allowances.back_off(call.ended_at - began)
            yield call.departed_at - self._round, until


def _replaces(new: str, old: str) -> bool:
    """Tell whether a status is a change: a shipment never goes back to a lower stage, unless it is on its way again."""
    after_it, before = STAGES.get(new, 1), STAGES.get(old, 1)
    return after_it >= before or (old == "delivered" and after_it == 1)


def _next_state(parcel: Parcel, index: int, report: Reported) -> int | None:
    """Return the first later state of a shipment that a report may be about."""
    for number in range(index + 1, len(parcel.states)):
        state = parcel.states[number]
        if state.status == report.status and state.since <= report.at:
            return number
    return None
