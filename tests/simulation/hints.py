"""What hints may cost: the documented limits, implemented a second time.

A hint about a shipment with subscribers causes one check, at most one in half a minute. Hints that come together share
their calls, and two batches are at least two seconds apart.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.simulation import allowances
from tests.simulation.allowances import Span
from tests.simulation.evidence import Evidence, Life
from tests.simulation.loop import BEGINNING
from tests.simulation.parcels import Name, name_of


def hint_checks(evidence: Evidence, account: str, life: Life) -> list[tuple[float, Name]]:
    """Return the checks that hints may cause in one life of a triggerer: when each is due, and of which shipment.

    :param evidence: what happened.
    :param account: the account of the hints.
    :param life: that of the triggerer at the account.
    """
    return sorted(
        (at, name)
        for name, hinted_at in hint_times(evidence, account).items()
        for span in life.watched.get(name, ())
        for at in _checks_in(span, hinted_at)
    )


def hint_times(evidence: Evidence, account: str) -> dict[Name, list[float]]:
    """Return when hints named each shipment, in order.

    :param evidence: what happened.
    :param account: the account of the hints.
    """
    found: dict[Name, list[float]] = defaultdict(list)
    for hint in evidence.record.scenario.hints:
        if hint.account == account:
            for name in dict.fromkeys(name_of(*spelled) for spelled in hint.names):
                found[name].append(hint.at)
    return found


def _checks_in(span: Span, hinted_at: Sequence[float]) -> Iterator[float]:
    """Yield the checks of a shipment with subscribers. A hint is kept for waits that subscribe soon."""
    begins, ends = span
    due = -math.inf
    for moment in hinted_at:
        at = max(moment, begins)
        if begins - allowances.HINT_KEPT_SECONDS <= moment <= ends and at > due:
            due = max(at, due + allowances.SECONDS_PER_HINT)  # earlier hints share that check
            yield due


def hint_calls(evidence: Evidence, account: str, life: Life, begins: float = BEGINNING, ends: float = 1e12) -> int:
    """Return the maximum number of calls that the hints of some time may cost, without later confirmations.

    :param evidence: what happened.
    :param account: the account of the hints.
    :param life: that of the triggerer at the account.
    :param begins: the first moment.
    :param ends: the last one.
    """
    cached = getattr(life, "hint_batches", None)
    if cached is None:
        cached = life.hint_batches = _batches(evidence, account, life)  # type: ignore[attr-defined]
    moments, sums = cached
    first, last = bisect_left(moments, begins), bisect_right(moments, ends)
    return int(sums[last] - sums[first])


def _batches(evidence: Evidence, account: str, life: Life) -> tuple[list[float], list[int]]:
    """Return when there may be batches, and how many calls all earlier ones take."""
    habits = evidence.record.vendors[account].habits
    doubtful = evidence.doubtful[account]
    by_moment: dict[int, list[Name]] = defaultdict(list)
    for at, name in hint_checks(evidence, account, life):
        by_moment[int((at - BEGINNING) // allowances.SECONDS_PER_BATCH)].append(name)
    moments, sums = [], [0]
    for moment in sorted(by_moment):
        names = by_moment[moment]
        alone = sum(1 for name in names if name in doubtful)
        moments.append(BEGINNING + moment * allowances.SECONDS_PER_BATCH)
        sums.append(sums[-1] + alone + habits.number_calls(len(names) - alone))
    return moments, sums
