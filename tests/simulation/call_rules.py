"""The rules for the calls of an account: ``slots``, ``left behind``, ``calls`` and ``restraint``."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from tests.simulation import allowances
from tests.simulation.evidence import Evidence, Life, Violation, names_of, offset, poke_interval, reconcile_seconds
from tests.simulation.hints import hint_calls
from tests.simulation.loop import BEGINNING
from tests.simulation.network import Call
from tests.simulation.parcels import Name
from tests.simulation.scenario_run import Session
from tests.simulation.vendor import SLOT_SECONDS, Vendor
from tests.simulation.watchers import repeated_calls, watch_calls


def check_calls(evidence: Evidence) -> Iterator[Violation]:
    """Apply the rules for calls.

    :param evidence: what happened.
    """
    yield from _slots(evidence.record.calls)
    for life in evidence.lives.values():  # each key has a poller of its own
        for key in sorted({call.key for call in life.calls}):
            yield from _restraint([call for call in life.calls if call.key == key])
    for (triggerer, account), life in evidence.lives.items():
        yield from _left_behind(triggerer, account, life)
        yield from _count(evidence, triggerer, account, life)


def _slots(calls: Sequence[Call]) -> Iterator[Violation]:
    last: dict[str, Call] = {}
    cool_down_until: dict[str, float] = defaultdict(lambda: -math.inf)
    for call in sorted(calls, key=lambda call: call.arrived_at or math.inf):
        if call.arrived_at is None:
            continue
        before = last.get(call.key)
        if before is not None and before.arrived_at is not None:
            gap = call.arrived_at - before.arrived_at
            if gap < SLOT_SECONDS - 1e-6:
                yield Violation(
                    "slots", f"two calls with {call.key} arrived {gap:.4f} s apart, at {offset(call.arrived_at)}"
                )
        last[call.key] = call
    for call in calls:
        if call.departed_at < cool_down_until[call.key]:
            yield Violation(
                "slots", f"a call left at {offset(call.departed_at)}, during the cool-down of {call.key} after a 429"
            )
        if call.result == "limited":
            cool_down_until[call.key] = max(cool_down_until[call.key], call.ended_at + call.cool_down)


def _left_behind(triggerer: str, account: str, life: Life) -> Iterator[Violation]:
    last = max((session.ends for session in (*life.sessions, *life.watches)), default=-math.inf)
    for call in life.calls:
        if call.departed_at > last:
            yield Violation(
                "left behind", f"{triggerer} called {account} at {offset(call.departed_at)}, after its last wait"
            )


def _count(evidence: Evidence, triggerer: str, account: str, life: Life) -> Iterator[Violation]:
    answered = [call for call in life.calls if call.result in ("ok", "lost")]
    counted = sum(1 for call in answered if call.name is None or not _confirms(life, call))
    least = _least_calls(evidence, account, life)
    hinted = hint_calls(evidence, account, life)
    watched = watch_calls(evidence, account, life, BEGINNING, evidence.record.ended_at)
    watched += repeated_calls(evidence, account, life)
    if counted > allowances.MOST_CALLS * least + allowances.MORE_CALLS + hinted + watched:
        yield Violation(
            "calls",
            f"{triggerer} made {counted} calls to {account} that are not confirmations; {least:.1f} would suffice, "
            f"and {hinted} for hints" + f", and {watched} for watchers" * bool(life.watches),
        )


def _confirms(life: Life, call: Call) -> bool:
    """Tell whether a call by path confirms a shipment that another response has just left out."""
    at = bisect_left(life.calls, call.departed_at, key=lambda one: one.departed_at)
    for before in reversed(life.calls[:at]):
        if before.name == call.name and before.result == "ok":
            return False
        covers = before.kind == "list" or (before.kind == "numbers" and call.numbers <= before.numbers)
        if before.result == "ok" and covers:
            return call.name not in {parcel.name for parcel, _ in before.shown}
    return False


def _least_calls(evidence: Evidence, account: str, life: Life) -> float:
    """Return the arithmetic minimum of calls, with first and last checks shared where they coincide."""
    vendor = evidence.record.vendors[account]
    moments = sorted({moment for session in life.sessions for moment in (session.begins, session.ends)})
    total = 0.0
    for begins, ends in itertools.pairwise(moments):
        present = [session for session in life.sessions if session.begins <= begins and session.ends >= ends]
        total += (ends - begins) * calls_a_second(evidence, account, present, begins, life.closed)
    firsts: dict[int, set[Name]] = defaultdict(set)
    lasts: dict[int, set[Name]] = defaultdict(set)
    for session in life.sessions:
        firsts[int(session.begins // allowances.GATHER_SECONDS)].update(names_of(session))
        deadline = session.plan.options.get("deadline")
        if deadline is not None and session.ends >= deadline:
            lasts[int(deadline)].update(names_of(session))
    return total + sum(
        vendor.habits.full_calls(len(names), vendor.rows(BEGINNING)) for names in (*firsts.values(), *lasts.values())
    )


def calls_a_second(
    evidence: Evidence,
    account: str,
    sessions: Iterable[Session],
    moment: float,
    closed: Mapping[tuple[Session, Name], float] = MappingProxyType({}),
) -> float:
    """Return the minimum number of calls per second for all checks of some waits: by number, by list or by change.

    A shipment that only a ``GET`` by its path finds needs its own calls.

    :param closed: when a wait was shown a shipment in a status that needs no further checks.
    """
    vendor = evidence.record.vendors[account]
    poke: dict[Name, float] = {}
    reconcile: dict[Name, float] = {}
    for session in sessions:
        for name in names_of(session):
            if closed.get((session, name), math.inf) <= moment:
                continue
            poke[name] = min(poke.get(name, math.inf), poke_interval(session))
            reconcile[name] = min(reconcile.get(name, math.inf), reconcile_seconds(session))
    alone = 0.0
    for name in evidence.doubtful[account].intersection(poke):
        state = vendor.by_name[name].at(moment)
        if state.status is not None and not state.in_numbers:
            alone += 1 / min(poke.pop(name), reconcile.pop(name))
    if not poke:
        return alone
    often = [min(poke[name], reconcile[name]) for name in poke]
    changes = vendor.habits.pages(vendor.changed_rows(moment)) / min(poke.values())
    by_change = changes + _full_checks_a_second(vendor, list(reconcile.values()), moment)
    return alone + min(by_change, _full_checks_a_second(vendor, often, moment))


def _full_checks_a_second(vendor: Vendor, intervals: Sequence[float], moment: float) -> float:
    most_often = 1 / min(intervals)
    by_number = sum(1 / interval for interval in intervals) / vendor.habits.numbers_in_one_call
    return min(max(most_often, by_number), vendor.habits.pages(vendor.rows(moment)) * most_often)


def _restraint(calls: Sequence[Call]) -> Iterator[Violation]:
    """A service that is down is not called for a while: see :data:`.allowances.ALIKE`."""
    row: list[Call] = []
    for call in calls:
        if row and call.asked_at > row[-1].ended_at:  # the poller had no call to make in between
            row = row if _is_down(row) and call.asked_at - row[-1].ended_at < allowances.SHORTEST_BACK_OFF else []
        if _is_down(row):
            yield Violation(
                "restraint",
                f"{call.triggerer} called {call.account} at {offset(call.departed_at)}, "
                f"although its last {len(row)} calls had failed ({row[-1].error})",
            )
            return
        alike = call.result == "failed" and (not row or row[-1].error == call.error)
        row = [*row, call] if alike else [call] if call.result == "failed" else []


def _is_down(row: Sequence[Call]) -> bool:
    return bool(row) and (len(row) >= allowances.ALIKE or not row[-1].numbers)
