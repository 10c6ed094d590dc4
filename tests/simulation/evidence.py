"""The evidence of a finished run for the oracle: calls, responses and waits, by triggerer and account."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.simulation.allowances import Excuses, Span, merged
from tests.simulation.belief import DAY, OPEN, Belief, Sighting
from tests.simulation.loop import BEGINNING
from tests.simulation.network import Call
from tests.simulation.parcels import Name, Parcel, State
from tests.simulation.scenario_run import Record, Session, WatchSession
from tests.simulation.vendor import Vendor

EARLIEST_ZONE = DAY / 2
"""A local time without zone is at most this much earlier than it reads in UTC."""


@dataclass(frozen=True)
class Violation:
    """A violation of a rule.

    :param rule: the name of the rule.
    :param text: what happened, and what should have.
    :param session: the wait, if it is about one.
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
    :param excuses: what delayed its checks.
    :param watches: its watchers.
    :param probes: the calls of watchers that find out whether the account works again. Nobody else uses the responses.
    :param sightings: what the responses showed of each shipment.
    """

    calls: list[Call]
    sessions: list[Session]
    excuses: Excuses
    watches: list[WatchSession] = field(default_factory=list)
    probes: list[Call] = field(default_factory=list)
    sightings: dict[Name, list[tuple[Call, Sighting]]] = field(default_factory=lambda: defaultdict(list))

    @cached_property
    def joins(self) -> list[float]:
        """When its waits began, in order."""
        return sorted(session.begins for session in self.sessions)

    @cached_property
    def watched(self) -> dict[Name, list[Span]]:
        """When waits needed checks of each shipment. In between, what is known about it is dropped."""
        found: dict[Name, list[Span]] = defaultdict(list)
        for session in self.sessions:
            for name in names_of(session):
                found[name].append((joined_at(session), min(session.ends, self.closed.get((session, name), math.inf))))
        return {name: merged(spans) for name, spans in found.items()}

    @cached_property
    def closed(self) -> dict[tuple[Session, Name], float]:
        """When a wait was shown a shipment in a status that needs no further checks: arrived, or failed.

        A wait ignores a status that is a step back, and it may have received what was known before it began.
        """
        return self._closed(all)

    @cached_property
    def perhaps_closed(self) -> dict[tuple[Session, Name], float]:
        """As `closed`, but from the first such status, whether or not the wait received what was known before it."""
        return self._closed(any)

    def _closed(self, decide: Callable[[Iterable[bool]], bool]) -> dict[tuple[Session, Name], float]:
        found: dict[tuple[Session, Name], float] = {}
        for session in self.sessions:
            if session.plan.options.get("settle_seconds"):
                continue
            shown, with_cache = (Belief(session.plan.options, settles_by_full=True) for _ in range(2))
            for name in shown.names:
                received: list[Sighting] = []
                known: Sighting | None = None
                for call, sighting in self.sightings.get(name, ()):
                    if sighting.status is None and call.asked_at <= joined_at(session):
                        continue  # it may have been registered since, so later waits do not receive it
                    if sighting.at <= session.begins:
                        known = sighting
                    else:
                        received.append(sighting)
                if known is not None:
                    with_cache.observe_one(name, known)
                    if decide(belief.outcome(name) not in OPEN for belief in (shown, with_cache)):
                        found[session, name] = session.begins
                        continue
                for sighting in received:
                    shown.observe_one(name, sighting)
                    with_cache.observe_one(name, sighting)
                    if decide(belief.outcome(name) not in OPEN for belief in (shown, with_cache)):
                        found[session, name] = sighting.at
                        break
        return found

    @cached_property
    def change_checks(self) -> list[float]:
        """When a list of changes was read."""
        return [call.ended_at for call in self.calls if call.kind == "change" and call.result == "ok"]


class Evidence:
    """Everything that happened in a run, by triggerer and account.

    :param record: what happened.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.lives: dict[tuple[str, str], Life] = {}
        sessions: dict[tuple[str, str], list[Session]] = defaultdict(list)
        calls: dict[tuple[str, str], list[Call]] = defaultdict(list)
        for session in record.sessions:
            sessions[session.triggerer, session.plan.account].append(session)
        watches: dict[tuple[str, str], list[WatchSession]] = defaultdict(list)
        probes: dict[tuple[str, str], list[Call]] = defaultdict(list)
        for watch in (watch for watcher in record.watchers for watch in watcher.sessions):
            watches[watch.triggerer, watch.plan.account].append(watch)
        for call in record.calls:
            (probes if call.kind == "probe" else calls)[call.triggerer, call.account].append(call)
        limited: dict[str, list[Call]] = defaultdict(list)
        for call in record.calls:
            if call.result == "limited":
                limited[call.key].append(call)
        for place in sorted(sessions.keys() | watches.keys() | calls.keys()):
            own = calls[place]
            read = {key for session in (*sessions[place], *watches[place]) for _, key in session.keys}
            keys = sorted(read | {call.key for call in own})
            limited_calls = [call for key in keys for call in limited[key]]
            life = self.lives[place] = Life(
                own, sessions[place], Excuses(own, limited_calls), watches[place], probes[place]
            )
            _note_sightings(life, record.vendors[place[1]])
        self.left_out = {account: _left_out(vendor) for account, vendor in record.vendors.items()}
        self.doubtful = {account: _doubtful(vendor) for account, vendor in record.vendors.items()}


def _note_sightings(life: Life, vendor: Vendor) -> None:
    watched = {name for session in life.sessions for name in names_of(session)}
    for call in life.calls:
        if call.result != "ok" or call.arrived_at is None:
            continue
        if call.name is not None and not call.shown:
            life.sightings[call.name].append((call, Sighting(call.ended_at, None)))
        for parcel, state in call.shown:
            if parcel.name in watched:
                life.sightings[parcel.name].append((call, _sighting(call, parcel, state)))
    for sightings in life.sightings.values():
        sightings.sort(key=lambda pair: pair[0].ended_at)


def _sighting(call: Call, parcel: Parcel, state: State) -> Sighting:
    arrived = call.arrived_at or 0.0
    quiet = state.quiet_days(arrived)
    if not parcel.shows_quiet_days:
        quiet = max(0, int((call.ended_at - math.floor(state.event_at) - EARLIEST_ZONE) // DAY))
    return Sighting(call.ended_at, state.status, state.substatus, state.event_at, quiet, call.kind != "change")


def _left_out(vendor: Vendor) -> list[float]:
    """Return when lists begin to leave out a shipment that they contained, in order."""
    return sorted(
        state.since
        for parcel in vendor.parcels
        for state in parcel.states[1:]
        if state.status is None and state.since > BEGINNING
    )


def _doubtful(vendor: Vendor) -> frozenset[Name]:
    """Return the shipments that a call by number leaves out at some time of the run.

    Every shipment that a wait asks for has a parcel. One that is never registered has no states.
    """
    return frozenset(
        parcel.name
        for parcel in vendor.parcels
        if parcel.index(BEGINNING) < 0 or any(state.status is None or not state.in_numbers for state in parcel.states)
    )


def names_of(session: Session) -> list[Name]:
    """Return the shipments of a wait."""
    cached: Any = getattr(session, "names", None)
    if cached is None:
        cached = session.names = Belief(session.plan.options, settles_by_full=True).names  # type: ignore[attr-defined]
    return list(cached)


def joined_at(session: Session | WatchSession) -> float:
    """Return when a wait or a watcher subscribed, with the first of its keys."""
    return session.keys[0][0] if session.keys else session.begins


def poke_interval(session: Session) -> float:
    """Return the interval of its checks."""
    return float(session.plan.options["poke_interval"])


def reconcile_seconds(session: Session) -> float:
    """Return the interval of its full checks."""
    return float(session.plan.options["reconcile_seconds"])


def offset(moment: float | None) -> str:
    """Format a moment in seconds since the beginning of the run."""
    return "never" if moment is None else f"{moment - BEGINNING:.2f}"
