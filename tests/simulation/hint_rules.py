"""The rule ``hint``: a shipment that a hint names is checked soon."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise

from tests.simulation import allowances
from tests.simulation.allowances import after
from tests.simulation.belief import Belief
from tests.simulation.bounds import Bounds
from tests.simulation.evidence import Evidence, Life, Violation, joined_at, names_of, offset
from tests.simulation.hints import hint_calls, hint_checks, hint_times
from tests.simulation.parcels import Name
from tests.simulation.scenario_run import Session

HINTS_PER_MINUTE = 120
LONG_AGO = 2 * allowances.SECONDS_PER_HINT + 10.0
"""A hint so long ago delays no later one, if nothing else delayed its check, which delays the next one in turn."""
SURE_BEFORE = 1.0
"""A wait that joins less than this before a hint may not have subscribed by then."""


def check_hints(evidence: Evidence, account: str, life: Life) -> Iterator[Violation]:
    """Apply the rule, where the account has no failures and there are not too many hints.

    :param evidence: what happened.
    :param account: the account of the hints.
    :param life: that of the triggerer at the account.
    """
    plan = next(plan for plan in evidence.record.scenario.accounts if plan.name == account)
    if len(plan.keys) > 1:  # a wait that moves to the new key loses its hints
        return
    times = [at for at, _ in hint_checks(evidence, account, life)]
    for name, hinted_at in hint_times(evidence, account).items():
        sessions = [session for session in life.sessions if name in names_of(session)]
        excuses = life.excuses.of([name])
        for before, at in pairwise([-math.inf, *hinted_at]):
            if bisect_right(times, at) - bisect_left(times, at - 120.0) >= HINTS_PER_MINUTE:
                continue
            for session in sessions:
                joined = joined_at(session) + SURE_BEFORE
                closed = min(life.perhaps_closed.get((session, name), math.inf), session.ends)
                if not joined <= at <= closed or _has_other_ends(session):
                    continue
                is_first = after(max(before, joined), LONG_AGO, excuses) < at
                latest = _latest(evidence, session, life, name, at, is_first=is_first)
                if latest <= closed and not _was_checked(life, name, at, latest):
                    text = f"{name[1]} was named at {offset(at)} and not checked by {offset(latest)}"
                    yield Violation("hint", text, session)


def _latest(evidence: Evidence, session: Session, life: Life, name: Name, at: float, *, is_first: bool) -> float:
    bounds = Bounds(evidence, session, life, Belief(session.plan.options, settles_by_full=True))
    calls = hint_calls(evidence, session.plan.account, life, at - 10.0, at + 10.0)
    seconds = allowances.HINT_SECONDS + bounds.round(at, 30.0, name) + calls * bounds.seconds_per_call
    if not is_first:
        seconds += allowances.SECONDS_PER_HINT
    return after(at, seconds, life.excuses.of([name]))


def _was_checked(life: Life, name: Name, at: float, latest: float) -> bool:
    return any(call.departed_at >= at and call.ended_at <= latest for call, sighting in life.sightings.get(name, ()))


def _has_other_ends(session: Session) -> bool:
    """Tell whether a shipment may stop being checked for another reason than its status."""
    return bool(session.plan.options.get("settle_seconds") or session.plan.options.get("orders"))
