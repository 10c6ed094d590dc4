"""What a finished run leaves for the oracle to judge by: calls, answers and waits, by triggerer and account."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.simulation.allowances import Excuses, Span, merged
from tests.simulation.belief import DAY, OPEN, Belief, Sight
from tests.simulation.loop import BEGINNING
from tests.simulation.network import Call
from tests.simulation.parcels import Name, Parcel, State
from tests.simulation.scenario_run import Record, Session
from tests.simulation.vendor import Vendor

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
class Life:
    """One life of a triggerer at one account.

    :param calls: its calls, in order of departure.
    :param sessions: its waits.
    :param excuses: what hindered it.
    :param sights: what the answers showed of each shipment.
    """

    calls: list[Call]
    sessions: list[Session]
    excuses: Excuses
    sights: dict[Name, list[tuple[Call, Sight]]] = field(default_factory=lambda: defaultdict(list))

    @cached_property
    def joins(self) -> list[float]:
        """When its waits began, in order."""
        return sorted(session.begins for session in self.sessions)

    @cached_property
    def watched(self) -> dict[Name, list[Span]]:
        """From when until when somebody needed checks of a shipment: what is known of it is forgotten in between."""
        found: dict[Name, list[Span]] = defaultdict(list)
        for session in self.sessions:
            for name in names_of(session):
                found[name].append((joined_at(session), min(session.ends, self.closed.get((session, name), math.inf))))
        return {name: merged(spans) for name, spans in found.items()}

    @cached_property
    def closed(self) -> dict[tuple[Session, Name], float]:
        """When a shipment was shown to a wait in a status that needs no further checks: arrived, or failed.

        To a wait, a status that is a step back is no news. It may have been told what was known before it began.
        """
        return self._closed(all)

    @cached_property
    def perhaps_closed(self) -> dict[tuple[Session, Name], float]:
        """The same, but with the first status that needs no further checks if the wait was not told, or if it was."""
        return self._closed(any)

    def _closed(self, decide: Callable[[Iterable[bool]], bool]) -> dict[tuple[Session, Name], float]:
        found: dict[tuple[Session, Name], float] = {}
        for session in self.sessions:
            if session.plan.options.get("settle_seconds"):
                continue
            shown, told = (Belief(session.plan.options, settles_by_full=True) for _ in range(2))
            for name in shown.names:
                known: Sight | None = None
                for call, sight in self.sights.get(name, ()):
                    if sight.status is None and call.asked_at <= joined_at(session):
                        continue  # it may have been registered since: those who join later are not told
                    if sight.at <= session.begins:
                        known = sight
                        continue
                    if known is not None:
                        told.see_one(name, known)
                        known = None
                    shown.see_one(name, sight)
                    told.see_one(name, sight)
                    if decide(belief.word(name) not in OPEN for belief in (shown, told)):
                        found[session, name] = sight.at
                        break
        return found

    @cached_property
    def change_checks(self) -> list[float]:
        """When a list of changes was read."""
        return [call.ended_at for call in self.calls if call.kind == "change" and call.result == "ok"]


class Evidence:
    """All that happened in a run, sorted.

    :param record: all that happened.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.lives: dict[tuple[str, str], Life] = {}
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
            limited_calls = [call for key in keys for call in limited[key]]
            life = self.lives[place] = Life(own, sessions[place], Excuses(own, limited_calls))
            _note_sights(life, record.vendors[place[1]])
        self.doubtful = {account: _doubtful(vendor) for account, vendor in record.vendors.items()}


def _note_sights(life: Life, vendor: Vendor) -> None:
    watched = {name for session in life.sessions for name in names_of(session)}
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


def _sight(call: Call, parcel: Parcel, state: State) -> Sight:
    arrived = call.arrived_at or 0.0
    quiet = state.quiet_days(arrived)
    if not parcel.shows_quiet_days:
        quiet = max(0, int((call.ended_at - math.floor(state.event_at) - EARLIEST_ZONE) // DAY))
    return Sight(call.ended_at, state.status, state.substatus, state.event_at, quiet, call.kind != "change")


def _doubtful(vendor: Vendor) -> frozenset[Name]:
    """The shipments waited for that a call by number leaves out at some time of the run.

    A shipment that the vendor never hears of has no parcel; every one that is waited for has one, empty at the worst.
    """
    return frozenset(
        parcel.name
        for parcel in vendor.parcels
        if parcel.index(BEGINNING) < 0 or any(state.status is None or not state.in_numbers for state in parcel.states)
    )


def names_of(session: Session) -> list[Name]:
    """The shipments that a wait asks for."""
    cached: Any = getattr(session, "names", None)
    if cached is None:
        cached = session.names = Belief(session.plan.options, settles_by_full=True).names  # type: ignore[attr-defined]
    return list(cached)


def joined_at(session: Session) -> float:
    """When it subscribed, with the first of its keys."""
    return session.keys[0][0] if session.keys else session.begins


def poke_interval(session: Session) -> float:
    """The interval of its checks."""
    return float(session.plan.options["poke_interval"])


def reconcile_seconds(session: Session) -> float:
    """The interval of its full checks."""
    return float(session.plan.options["reconcile_seconds"])


def offset(moment: float | None) -> str:
    """A moment in seconds from the beginning of the run."""
    return "never" if moment is None else f"{moment - BEGINNING:.2f}"
