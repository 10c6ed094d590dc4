"""What watchers may cost: the documented limits, implemented a second time.

A watcher reads the list of changes at least every ``poke_interval``, and the list of everything at least every
``reconcile_seconds``. A webhook makes it read the lists early, at most twice a minute, with one more call for the
shipments that webhooks have named. Rounds of watchers take turns with the checks of waits.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

from tests.simulation import allowances
from tests.simulation.evidence import Evidence, Life
from tests.simulation.loop import BEGINNING
from tests.simulation.network import Call
from tests.simulation.scenario_run import WatchSession
from tests.simulation.vendor import Vendor

CALLS_PER_PAGE = 4
"""A list of several pages is divided by time, so that no row is lost when pages shift. A division costs calls."""

ROUNDS_PER_SECOND = 2
"""A second with more rows than fit into a page cannot be divided: its pages are read until they are the same twice."""

CALLS_PER_LEFT_OUT = 4
"""A known shipment that the list leaves out is checked by number and by path, perhaps twice before the next round."""


def list_calls(vendor: Vendor, moment: float) -> int:
    """Return the maximum number of calls that read a list to its end.

    :param vendor: the vendor of the account.
    :param moment: when it is read.
    """
    pages = vendor.habits.pages(vendor.rows(moment) + 1)
    return 1 if pages == 1 else CALLS_PER_PAGE * pages + ROUNDS_PER_SECOND * vendor.pages_of_crowded_seconds(moment)


def watch_calls(evidence: Evidence, account: str, life: Life, begins: float, ends: float) -> int:
    """Return the maximum number of calls that the watchers of a life may make in some time.

    :param evidence: what happened.
    :param account: the account of the watchers.
    :param life: that of the triggerer at the account.
    :param begins: the first moment.
    :param ends: the last one.
    """
    if not life.watches:
        return 0
    vendor = evidence.record.vendors[account]
    calls = 0
    for watch in life.watches:
        first, last = max(begins, watch.begins), min(ends, watch.ends)
        if first > last:
            continue
        full = _times(last - first, watch.plan.reconcile_seconds)
        rounds = full + _times(last - first, watch.plan.poke_interval)
        early, named = _hinted(evidence, account, first, last)
        calls += (full + rounds + early) * list_calls(vendor, last) + min(named, rounds + early)
        left_out = evidence.left_out[account]
        since = first - 2 * watch.plan.reconcile_seconds
        calls += CALLS_PER_LEFT_OUT * (bisect_right(left_out, last) - bisect_left(left_out, since))
    return calls


def _times(seconds: float, interval: float) -> int:
    """Count the rounds of some time, in which a watcher may join others a little early."""
    return int(seconds / (interval * (1 - allowances.JOINED_EARLY))) + 2


def _hinted(evidence: Evidence, account: str, begins: float, ends: float) -> tuple[int, int]:
    """Return the maximum number of rounds because of hints, and of calls for the shipments that hints name.

    Hinted shipments that do not fit into a call need another round.
    """
    numbers = evidence.record.vendors[account].habits.numbers_in_one_call
    rounds = calls = 0
    due = -math.inf
    for hint in evidence.record.scenario.hints:
        if hint.account != account or not begins - allowances.SECONDS_PER_HINT <= hint.at <= ends:
            continue
        more = (len(hint.names) - 1) // numbers
        rounds, calls = rounds + more, calls + 1 + more
        if hint.at > due:  # otherwise it shares a round with earlier hints
            due = max(hint.at, due + allowances.SECONDS_PER_HINT)
            rounds += 1
    return rounds, calls


def repeated_calls(evidence: Evidence, account: str, life: Life) -> int:
    """Return the maximum number of calls that watchers repeat because a call of a round failed.

    :param evidence: what happened.
    :param account: the account of the watchers.
    :param life: that of the triggerer at the account.
    """
    vendor = evidence.record.vendors[account]
    failed = sum(1 for call in life.calls if is_failure(call))
    return 2 * failed * list_calls(vendor, BEGINNING) if life.watches else 0


def is_failure(call: Call) -> bool:
    """Tell whether a failed call ends the round of a watcher.

    :param call: the call.
    """
    return call.result in ("refused", "limited") or (call.result == "failed" and not call.numbers)


def is_watched(watch: WatchSession, begins: float, ends: float) -> bool:
    """Tell whether a watcher runs at some time.

    :param watch: one run of the watcher.
    :param begins: the first moment.
    :param ends: the last one.
    """
    return watch.begins <= ends and watch.ends >= begins
