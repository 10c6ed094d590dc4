"""Judges a run by the parcels' truth and by what went over the wire, and by nothing that the code under test says.

Two questions, kept apart. *What a wait was shown* must decide it, at once and rightly (:mod:`.belief`). *What the
vendor knew* must be shown to it in time: within its own interval and the allowances of :mod:`.allowances`, each of
which has a name and a reason. Beside them: the slot clock, the number of calls, and nobody forgotten.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.simulation import allowances
from tests.simulation.allowances import Span, Troubles, after, gathering, overlaps
from tests.simulation.belief import DAY, Belief, Sight
from tests.simulation.loop import BEGINNING
from tests.simulation.network import Call
from tests.simulation.parcels import NOT_REGISTERED, Name, Parcel, State
from tests.simulation.vendor import SLOT_SECONDS, Vendor
from tests.simulation.world import CONNECT_SECONDS, Record, Session

OPEN = ("waiting", "stuck")
"""The words of a shipment that must still be checked."""
Proof = tuple[Name, float, float]
"""Which shipment decides, since when, and the interval within which that must be seen."""
EARLIEST_ZONE = DAY / 2
"""A local time without zone is at most so much earlier than the same reading in UTC."""


@dataclass(frozen=True)
class Violation:
    """Something that must not happen.

    :param rule: its name.
    :param text: what happened, and what should have.
    :param session: the wait that it happened to.
    """

    rule: str
    text: str
    session: Session | None = None

    def __str__(self) -> str:
        whose = "" if self.session is None else f"{self.session.plan.name} on {self.session.triggerer}: "
        return f"[{self.rule}] {whose}{self.text}"


@dataclass
class _Life:
    """One life of a triggerer at one account."""

    calls: list[Call]
    sessions: list[Session]
    troubles: Troubles
    sights: dict[Name, list[tuple[Call, Sight]]] = field(default_factory=lambda: defaultdict(list))

    @cached_property
    def joins(self) -> list[float]:
        return sorted(session.begins for session in self.sessions)

    @cached_property
    def change_checks(self) -> list[float]:
        return [call.ended_at for call in self.calls if call.kind == "change" and call.result == "ok"]


def judge(record: Record) -> list[Violation]:
    """Judge a run.

    :param record: all that happened.
    :return: what must not have happened; empty if all is well.
    """
    return list(_Judge(record).violations())


class _Judge:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.lives: dict[tuple[str, str], _Life] = {}
        sessions: dict[tuple[str, str], list[Session]] = defaultdict(list)
        calls: dict[tuple[str, str], list[Call]] = defaultdict(list)
        for session in record.sessions:
            sessions[session.triggerer, session.plan.account].append(session)
        for call in record.calls:
            calls[call.triggerer, call.account].append(call)
        limited: dict[str, list[Call]] = defaultdict(list)
        for call in record.calls:
            if call.result == "limited":
                limited[call.key].append(call)
        for place in sorted(sessions.keys() | calls.keys()):
            own = calls[place]
            read = {key for session in sessions[place] for _, key in session.keys}
            keys = sorted(read | {call.key for call in own})
            silenced = [call for key in keys for call in limited[key]]
            life = self.lives[place] = _Life(own, sessions[place], Troubles(own, silenced))
            self._note_sights(life, record.vendors[place[1]])
        self.doubtful = {account: _doubtful(vendor) for account, vendor in record.vendors.items()}

    def violations(self) -> Iterator[Violation]:
        """Apply every rule."""
        for complaint in self.record.complaints:
            yield Violation("clean", complaint)
        yield from self._slots()
        for life in self.lives.values():  # each key has a poller of its own
            for key in sorted({call.key for call in life.calls}):
                yield from _restraint([call for call in life.calls if call.key == key])
        yield from self._calls()
        for (_, account), life in self.lives.items():
            for session in life.sessions:
                yield from _WaitJudge(self, session, life, self.record.vendors[account]).violations()

    # What was shown --------------------------------------------------------------------------------------------------

    def _note_sights(self, life: _Life, vendor: Vendor) -> None:
        watched = {name for session in life.sessions for name in _names(session)}
        for call in life.calls:
            if call.result != "ok" or call.arrived_at is None:
                continue
            if call.name is not None and not call.shown:
                life.sights[call.name].append((call, Sight(call.ended_at, None)))
            for parcel, state in call.shown:
                if parcel.name in watched:
                    life.sights[parcel.name].append((call, _sight(call, parcel, state)))
        for sights in life.sights.values():
            sights.sort(key=lambda pair: pair[0].ended_at)

    # The account -----------------------------------------------------------------------------------------------------

    def _slots(self) -> Iterator[Violation]:
        last: dict[str, Call] = {}
        silent_until: dict[str, float] = defaultdict(lambda: -math.inf)
        for call in sorted(self.record.calls, key=lambda call: call.arrived_at or math.inf):
            if call.arrived_at is None:
                continue
            before = last.get(call.key)
            if before is not None and before.arrived_at is not None:
                gap = call.arrived_at - before.arrived_at
                if gap < SLOT_SECONDS - 1e-6:
                    yield Violation(
                        "slots", f"two calls with {call.key} arrived {gap:.4f} s apart, at {_t(call.arrived_at)}"
                    )
            last[call.key] = call
        for call in self.record.calls:
            if call.departed_at < silent_until[call.key]:
                yield Violation(
                    "slots", f"a call left at {_t(call.departed_at)}, while {call.key} was silent after a 429"
                )
            if call.result == "limited":
                silent_until[call.key] = max(silent_until[call.key], call.ended_at + call.silence)

    def _calls(self) -> Iterator[Violation]:
        for (triggerer, account), life in self.lives.items():
            last = max((session.ends for session in life.sessions), default=-math.inf)
            for call in life.calls:
                if call.departed_at > last:
                    yield Violation(
                        "left behind", f"{triggerer} called {account} at {_t(call.departed_at)}, after its last wait"
                    )
            yield from self._count(triggerer, account, life)

    def _count(self, triggerer: str, account: str, life: _Life) -> Iterator[Violation]:
        asked: set[tuple[Name, int]] = set()
        counted = 0
        missed: dict[Name, int] = defaultdict(int)
        for number, call in enumerate(life.calls):
            if call.result not in ("ok", "lost"):
                continue
            if call.name is None:
                shown = {parcel.name for parcel, _ in call.shown}
                for name in life.sights.keys() | missed.keys() if call.kind == "list" else ():
                    if name not in shown:
                        missed[name] = number
            counted += call.name is None or not self._confirms(life, call)
        asked.clear()
        least = self._least_calls(account, life)
        if counted > 2 * least + 4:
            yield Violation(
                "calls",
                f"{triggerer} made {counted} calls to {account} that are no confirmations; {least:.1f} would do",
            )

    def _confirms(self, life: _Life, call: Call) -> bool:
        """Whether a call by number makes sure of a shipment that another answer has just left out."""
        at = bisect_left(life.calls, call.departed_at, key=lambda one: one.departed_at)
        for before in reversed(life.calls[:at]):
            if before.name == call.name and before.result == "ok":
                return False
            covers = before.kind == "list" or (before.kind == "numbers" and call.numbers <= before.numbers)
            if before.result == "ok" and covers:
                return call.name not in {parcel.name for parcel, _ in before.shown}
        return False

    def _least_calls(self, account: str, life: _Life) -> float:
        """The arithmetic minimum of all checks, with the first and last ones together where they fall together."""
        vendor = self.record.vendors[account]
        moments = sorted({moment for session in life.sessions for moment in (session.begins, session.ends)})
        total = 0.0
        for begins, ends in itertools.pairwise(moments):
            present = [session for session in life.sessions if session.begins <= begins and session.ends >= ends]
            total += (ends - begins) * self.calls_a_second(account, present, begins)
        firsts: dict[int, set[Name]] = defaultdict(set)
        lasts: dict[int, set[Name]] = defaultdict(set)
        for session in life.sessions:
            firsts[int(session.begins // allowances.GATHER_SECONDS)].update(_names(session))
            deadline = session.plan.options.get("deadline")
            if deadline is not None and session.ends >= deadline:
                lasts[int(deadline)].update(_names(session))
        return total + sum(
            vendor.habits.full_calls(len(names), vendor.rows(BEGINNING))
            for names in (*firsts.values(), *lasts.values())
        )

    def calls_a_second(self, account: str, sessions: Iterable[Session], moment: float) -> float:
        """How many calls a second all checks of some waits take at least: by number, by list or by change.

        A shipment that only ``GET`` by number knows takes calls of its own.
        """
        vendor = self.record.vendors[account]
        poke: dict[Name, float] = {}
        reconcile: dict[Name, float] = {}
        for session in sessions:
            for name in _names(session):
                poke[name] = min(poke.get(name, math.inf), _poke(session))
                reconcile[name] = min(reconcile.get(name, math.inf), _reconcile(session))
        alone = 0.0
        for name in self.doubtful[account].intersection(poke):
            state = vendor.by_name[name].at(moment)
            if state.status is not None and not state.in_numbers:
                alone += 1 / min(poke.pop(name), reconcile.pop(name))
        if not poke:
            return alone
        often = [min(poke[name], reconcile[name]) for name in poke]
        by_change = 1 / min(poke.values()) + _full_checks_a_second(vendor, list(reconcile.values()), moment)
        return alone + min(by_change, _full_checks_a_second(vendor, often, moment))


def _full_checks_a_second(vendor: Vendor, intervals: Sequence[float], moment: float) -> float:
    most_often = 1 / min(intervals)
    by_number = sum(1 / interval for interval in intervals) / vendor.habits.numbers_in_one_call
    return min(max(most_often, by_number), vendor.habits.pages(vendor.rows(moment)) * most_often)


def _restraint(calls: Sequence[Call]) -> Iterator[Violation]:
    """A service that is down is left alone: see :data:`.allowances.ALIKE`."""
    row: list[Call] = []
    for call in calls:
        if row and call.asked_at - row[-1].ended_at > allowances.PUBLISH_SECONDS:
            row = row if _is_down(row) and call.asked_at - row[-1].ended_at < allowances.SHORTEST_BACK_OFF else []
        if _is_down(row):
            yield Violation(
                "restraint",
                f"{call.triggerer} called {call.account} at {_t(call.departed_at)}, "
                f"although its last {len(row)} calls had failed ({row[-1].error})",
            )
            return
        alike = call.result == "failed" and (not row or row[-1].error == call.error)
        row = [*row, call] if alike else [call] if call.result == "failed" else []


def _is_down(row: Sequence[Call]) -> bool:
    return bool(row) and (len(row) >= allowances.ALIKE or not row[-1].numbers)


class _WaitJudge:
    """Judges one session of a wait."""

    def __init__(self, judge: _Judge, session: Session, life: _Life, vendor: Vendor) -> None:
        self.judge = judge
        self.session = session
        self.life = life
        self.vendor = vendor
        self.options = session.plan.options
        self.names = _names(session)
        self.joined = session.keys[0][0] if session.keys else session.begins
        self.excused = life.troubles.of(self.names)
        self.kept: dict[Name, str] = {}
        self._rounds: dict[tuple[float, float, bool], int] = {}
        self.due = Belief(self.options, settles_by_full=True)
        self.heard = Belief(self.options, settles_by_full=False)
        self.possible = Belief(self.options, settles_by_full=False)

    def violations(self) -> Iterator[Violation]:
        session = self.session
        if session.ended == "crashed":
            yield self._violation("crash", f"ended by {type(session.error).__name__}: {session.error}")
            return
        if session.ended == "refused":
            yield from self._refused()
        yield from self._decided()
        if session.ended == "verdict":
            yield from self._verdict()
        yield from self._late()

    def _violation(self, rule: str, text: str) -> Violation:
        return Violation(rule, text, self.session)

    # What it was shown -----------------------------------------------------------------------------------------------

    def _decided(self) -> Iterator[Violation]:
        """What a wait has been shown ends it at once."""
        for at, due, possible in self._answers():
            if at > self.session.ends:
                break
            self.possible.see(possible)
            if at > self.session.begins:  # or else it had nothing from before it began
                self.heard.see(possible)
            else:
                self.kept = {name: word for name in possible if (word := self.possible.word(name)) not in OPEN}
            due = {name: sight for name, sight in due.items() if not self._contradicts(name, sight.status)}
            if due:
                self.due.see(due)
            if self.due.result != "waiting":
                if self.session.ends > at + allowances.PUBLISH_SECONDS:
                    yield self._violation(
                        "publish",
                        f"was shown at {_t(at)} what makes it {self.due.result}, ended at {_t(self.session.ends)}",
                    )
                return

    def _contradicts(self, name: Name, status: str | None) -> bool:
        """Whether what was kept of a shipment may have decided it otherwise before the wait was shown this."""
        word = self.kept.get(name)
        return word is not None and (word in self.due.statuses) != (status in self.due.statuses)

    def _answers(self) -> Iterator[tuple[float, dict[Name, Sight], dict[Name, Sight]]]:
        """Each answer: what it certainly told the wait, and what it may have told it.

        Not certain: what was asked before it joined, or with another key. What was known before it began may have been
        kept for it: the newest of each shipment, unless that is older than an interval.
        """
        oldest = self.session.begins - 1.1 * _poke(self.session) - 1.0
        by_change = any(oldest <= moment <= self.session.begins for moment in self.life.change_checks)
        kept: dict[Name, Sight] = {}
        answers: dict[tuple[float, int], tuple[Call, dict[Name, Sight]]] = {}
        for name in self.names:
            for call, sight in self.life.sights.get(name, ()):
                if sight.status is None and call.asked_at <= self.joined:
                    continue  # it may have been registered since: those who join later are not told
                if call.ended_at > self.session.begins:
                    answers.setdefault((call.ended_at, id(call)), (call, {}))[1][name] = sight
                elif by_change or call.ended_at >= oldest:
                    kept[name] = sight
        if kept:
            yield self.session.begins, {}, kept
        order = {id(call): number for number, call in enumerate(self.life.calls)}
        for call, sights in sorted(answers.values(), key=lambda pair: (pair[0].ended_at, order[id(pair[0])])):
            certain = call.departed_at > self.joined and call.key == self._key(call.departed_at)
            yield call.ended_at, sights if certain else {}, sights

    def _key(self, moment: float) -> str:
        known = [key for at, key in self.session.keys if at <= moment]
        return known[-1] if known else ""

    def _verdict(self) -> Iterator[Violation]:
        verdict = self.session.verdict
        result = str(verdict.result)
        if result == "timed_out":
            yield from self._timed_out()
        elif result not in [one.result for one in self._beliefs]:
            yield self._violation(
                "wrong",
                f"ended {result} at {_t(self.session.ends)}; shown was {self.due.result}: {self._words()}",
            )
        for order, one in verdict.orders.items():
            if str(one.result) not in (*(belief.result_of(order) for belief in self._beliefs), "timed_out"):
                yield self._violation("wrong", f"order {order} ended {one.result}, not {self.due.result_of(order)}")
            words = [belief.words(order) for belief in self._beliefs]
            for outcome in one.outcomes:
                name = (outcome.key.carrier_code.casefold(), outcome.key.tracking_number.casefold())
                allowed = {own[name] for own in words} | {belief.word(name) for belief in self._beliefs}
                if "waiting" in allowed or str(one.result) != str(result):
                    allowed |= {"waiting", "timed_out"}
                if str(outcome.outcome) not in allowed:
                    yield self._violation(
                        "wrong", f"{name} ended {outcome.outcome}, not {' or '.join(sorted(allowed))}"
                    )

    @property
    def _beliefs(self) -> list[Belief]:
        """What it may rightly believe: by what it certainly was told, by all since it began, and by what was kept."""
        return [self.due, self.heard, self.possible]

    def _words(self) -> str:
        return ", ".join(f"{name[1]} {self.due.word(name)}" for name in self.names[:8])

    def _timed_out(self) -> Iterator[Violation]:
        deadline = self.options.get("deadline")
        if deadline is None or self.session.ends < deadline - allowances.PUBLISH_SECONDS:
            yield self._violation("wrong", f"timed out at {_t(self.session.ends)}, before its deadline {_t(deadline)}")
            return
        if self.possible.settle:
            return
        final = max(deadline, self.joined)
        if overlaps(final - 1.0, self.session.ends, self.excused) or self._round(final, 30.0) > 25.0:
            return
        for order, one in self.session.verdict.orders.items():
            if str(one.result) != "timed_out":
                continue
            arrived = [
                name
                for name in self.possible.orders[order]
                if self.possible.word(name) in ("waiting", *self.possible.statuses)
                and any(begins <= final and ends >= self.session.ends for begins, ends, _ in self._arrivals(name))
            ]
            if len(arrived) >= self.possible.needed(order):
                yield self._violation(
                    "deadline",
                    f"timed out at {_t(self.session.ends)}, although the vendor knew at its deadline {_t(final)}, and "
                    f"the account was well: {', '.join(number for _, number in arrived[:5])} had arrived",
                )

    def _refused(self) -> Iterator[Violation]:
        ends = self.session.ends
        key = self._key(ends)
        before = [
            call for call in self.life.calls if call.ended_at <= ends and call.key == key and call.result != "lost"
        ]
        refusals: list[Call] = []
        for call in reversed(before):
            if call.result == "ok":
                break
            if call.result == "refused":
                refusals.append(call)
        if len(refusals) < 2 or refusals[0].departed_at - refusals[-1].ended_at < 4.5:
            yield self._violation("wrong", f"gave up at {_t(ends)} without a confirmed refusal: {self.session.error}")
        elif self.vendor.keys[key] <= ends:
            plan = next(plan for plan in self.judge.record.scenario.accounts if plan.name == self.session.plan.account)
            current = plan.key_at(ends - CONNECT_SECONDS - allowances.PUBLISH_SECONDS)
            if current != key and self.vendor.keys[current] > ends:
                yield self._violation(
                    "rotation", f"gave up at {_t(ends)} with {key}, although the connection has {current}"
                )

    # What the vendor knew --------------------------------------------------------------------------------------------

    def _late(self) -> Iterator[Violation]:
        """Every wait ends when what the vendor knew must have been shown to it, or soon after its deadline."""
        session = self.session
        deadline = self.options.get("deadline")
        if deadline is not None:
            latest = max(deadline, self.joined) + allowances.DEADLINE_SECONDS + 1.0
            if session.ends > latest:
                yield self._violation(
                    "forgotten", f"was to end by {_t(latest)} (deadline {_t(deadline)}), ended {self._end()}"
                )
                return
        must = [self._must_end(order) for order in self.due.orders]
        at = max(moment for moment, _ in must)
        if session.ends > at + allowances.PUBLISH_SECONDS:
            why = "; ".join(self._explain(*proof, by) for by, proof in must if proof is not None)
            yield self._violation("late", f"was to end by {_t(at)}, ended {self._end()}. {why}")

    def _end(self) -> str:
        return f"{self.session.ended} at {_t(self.session.ends)}" if self.session.ended else "never"

    def _must_end(self, order: str | None) -> tuple[float, Proof | None]:
        """When an order must be decided at the latest, and by what."""
        names = self.due.orders[order]
        needed = self.due.needed(order)
        arrive: list[tuple[float, Proof | None]] = []
        lose: list[tuple[float, Proof | None]] = []
        unregistered: list[tuple[float, Proof | None]] = []
        for name in names:
            arrivals, losses, missing = (
                self._first_certain(name, found)
                for found in (self._arrivals(name), self._losses(name), self._missing(name))
            )
            first_arrival = min((begins for begins, _, _ in self._arrivals(name)), default=math.inf)
            first_loss = min((begins for begins, _, _ in self._losses(name)), default=math.inf)
            was_kept = self.kept.get(name)
            has_arrived = was_kept in self.due.statuses
            if arrivals is not None and first_loss > arrivals[0] and (was_kept is None or has_arrived):
                arrive.append(arrivals)
            if losses is not None and first_arrival > losses[0] and not has_arrived:
                lose.append(losses)
            if missing is not None and min(first_arrival, first_loss) > missing[0]:
                unregistered.append(missing)
        ends: list[tuple[float, Proof | None]] = [(math.inf, None)]
        if len(arrive) >= needed:
            ends.append(sorted(arrive, key=_moment)[needed - 1])
        if len(lose) > len(names) - needed:
            ends.append(sorted(lose, key=_moment)[len(names) - needed])
        ends += sorted(unregistered, key=_moment)[:1]
        return min(ends, key=_moment)

    def _first_certain(
        self, name: Name, found: Iterable[tuple[float, float, float]]
    ) -> tuple[float, Proof | None] | None:
        """When the wait must have been shown one of these at the latest.

        :param found: from when until when it is so, and the interval within which it must be seen.
        """
        for begins, ends, interval in found:
            must = self._shown_by(name, begins, interval)
            if ends > must + allowances.PUBLISH_SECONDS:
                return must, (name, begins, interval)
        return None

    def _shown_by(self, name: Name, begins: float, interval: float) -> float:
        excused = self.life.troubles.of([name])
        first = self._first_check(name, excused)
        settle = self.due.settle
        if begins == self.joined and self._was_checked_lately(name):
            begins = self.vendor.by_name[name].at(begins).since
        if begins != self.joined:
            slots = self._round(begins, interval, name)
            longest = max(interval, slots) + slots + self._trip
            first = max(first, after(begins, longest, excused))
        if settle and interval > 0:
            full = _reconcile(self.session)
            slots = self._round(first, settle + full, name)
            first = after(first, settle + max(full, slots) + slots + self._trip, excused)
        return first

    def _first_check(self, name: Name, excused: list[Span]) -> float:
        poke, wanted = _poke(self.session), self.session.first_check_at
        if wanted is None:
            wanted = self.joined + poke
        if wanted <= self.joined + allowances.GATHER_SECONDS:
            longest = min(poke, allowances.LONGEST_GATHER_SECONDS)
            wanted = gathering(self.joined, longest, self.life.joins)
        slots = self._round(wanted, 5.0, name)
        return after(self.joined, wanted - self.joined + CONNECT_SECONDS + slots + self._trip, excused)

    def _was_checked_lately(self, name: Name) -> bool:
        """Whether others have had the shipment checked within this wait's interval, so that it needs no first check."""
        oldest = self.joined - _poke(self.session) - allowances.PUBLISH_SECONDS
        sights = self.life.sights.get(name, ())
        known = [sight for call, sight in sights if call.ended_at <= self.joined]
        if not known or known[-1].status is None:
            return False
        return known[-1].at >= oldest or any(oldest <= moment <= self.joined for moment in self.life.change_checks)

    @property
    def _trip(self) -> float:
        """One call, and the connection that it may need."""
        _, longest = self._latency
        return 4 * longest + allowances.SPREAD_SECONDS

    @property
    def _latency(self) -> tuple[float, float]:
        return next(
            plan.latency for plan in self.judge.record.scenario.accounts if plan.name == self.session.plan.account
        )

    def _round(self, moment: float, length: float, name: Name | None = None) -> float:
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
        for (_, account), life in self.judge.lives.items():
            if account != self.session.plan.account:
                continue
            present = [one for one in life.sessions if one.begins <= until and one.ends >= moment]
            if not present:
                continue
            if life is not self.life:
                busy = min(min(_poke(one), _reconcile(one)) for one in present) < allowances.BUSY_SECONDS
                calls += allowances.SLOTS_LOST_TO_BUSY if busy else allowances.LOST_SLOTS
            names = {name for one in present for name in _names(one)}
            habits = self.vendor.habits
            # A list that was given up half-way, since few shipments were due then, is not read again for some minutes.
            by_number, by_list = habits.number_calls(len(names)), habits.pages(self.vendor.rows(moment))
            polls = (by_number if by_list > 1 else min(by_number, by_list)) + 1
            calls += polls
            if life is self.life:
                doubtful = names & self.judge.doubtful[account]
                unconfirmed = sum(1 for one in doubtful if self._needs_confirmation(one, moment, until))
                if mine:
                    coming = math.ceil(self.judge.calls_a_second(account, present, moment) * (until - moment))
                    first = min(allowances.POLLS_BEFORE_CONFIRMATION * unconfirmed, coming)
                    calls += unconfirmed + max(first - polls, 0)
                else:
                    calls += min(unconfirmed, polls)
        return calls

    def _needs_confirmation(self, name: Name, begins: float, ends: float) -> bool:
        return name in self.judge.doubtful[self.session.plan.account] and any(
            state.status is None or not state.in_numbers for _, _, state in self._states(name, begins, ends)
        )

    def _states(self, name: Name, begins: float, ends: float) -> Iterator[tuple[float, float, State]]:
        parcel = self.vendor.by_name.get(name)
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
        for begins, ends, state in self._states(name, self.joined, self.session.ends):
            known = begins == self.joined and self._was_checked_lately(name)
            changed = state.found_by_change and (begins == state.since or known)
            poke, reconcile = _poke(self.session), _reconcile(self.session)
            if delivered and not self.due.settle and state.status != "delivered":
                return  # a delivered shipment that is on its way again stays delivered
            delivered = delivered or state.status == "delivered"
            yield begins, ends, state, min(poke, reconcile) if changed else reconcile

    def _arrivals(self, name: Name) -> list[tuple[float, float, float]]:
        found = [
            (begins, ends, interval)
            for begins, ends, state, interval in self._spans(name)
            if state.status in self.due.statuses
        ]
        return found if self.due.settle else _joined(found)  # another status has to settle anew

    def _losses(self, name: Name) -> list[tuple[float, float, float]]:
        found = []
        for begins, ends, state, interval in self._spans(name):
            if state.status in self.due.statuses or state.status is None:
                continue
            returned = state.status == "exception" and state.substatus in ("exception010", "exception011")
            if state.status in self.due.fail_on or (returned and "returned" in self.due.fail_on):
                found.append((begins, ends, interval))
        return _joined(found)

    def _missing(self, name: Name) -> list[tuple[float, float, float]]:
        reconcile = _reconcile(self.session)
        return [(begins, ends, reconcile) for begins, ends, state, _ in self._spans(name) if state.status is None]

    def _explain(self, name: Name, begins: float, interval: float, must: float) -> str:
        parcel = self.vendor.by_name.get(name)
        state = parcel.at(begins) if parcel is not None else NOT_REGISTERED
        excused = sum(
            min(end, must) - max(start, begins)
            for start, end in self.life.troubles.of([name])
            if start < must and end > begins
        )
        return (
            f"{name[1]} was {state.status or 'not registered'} from {_t(begins)} on, to be seen within {interval:g} s "
            f"and by {_t(must)}: {self._round(begins, interval, name):.1f} s of calls, {excused:.1f} s of trouble"
        )


def _joined(found: Iterable[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Join what follows without a gap; the interval of the first counts."""
    result: list[tuple[float, float, float]] = []
    for begins, ends, interval in found:
        if result and result[-1][1] >= begins:
            result[-1] = (result[-1][0], ends, result[-1][2])
        else:
            result.append((begins, ends, interval))
    return result


def _sight(call: Call, parcel: Parcel, state: State) -> Sight:
    arrived = call.arrived_at or 0.0
    quiet = state.quiet_days(arrived)
    if not parcel.shows_quiet_days:
        quiet = max(0, int((call.ended_at - int(state.event_at) - EARLIEST_ZONE) // DAY))
    return Sight(call.ended_at, state.status, state.substatus, state.event_at, quiet, call.kind != "change")


def _moment(pair: tuple[float, Proof | None]) -> float:
    return pair[0]


def _doubtful(vendor: Vendor) -> frozenset[Name]:
    """The shipments waited for that a call by number leaves out at some time of the run.

    A shipment that the vendor never hears of has no parcel; every one that is waited for has one, empty at the worst.
    """
    return frozenset(
        parcel.name
        for parcel in vendor.parcels
        if parcel.index(BEGINNING) < 0 or any(one.status is None or not one.in_numbers for one in parcel.states)
    )


def _names(session: Session) -> list[Name]:
    cached: Any = getattr(session, "names", None)
    if cached is None:
        cached = session.names = Belief(session.plan.options, settles_by_full=True).names  # type: ignore[attr-defined]
    return list(cached)


def _poke(session: Session) -> float:
    return float(session.plan.options["poke_interval"])


def _reconcile(session: Session) -> float:
    return float(session.plan.options["reconcile_seconds"])


def _t(moment: float | None) -> str:
    """A moment in seconds from the beginning of the run."""
    return "never" if moment is None else f"{moment - BEGINNING:.2f}"
