"""Draw the watchers of a scenario: who watches the lists of which account, where, and when."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.simulation.loop import BEGINNING
from tests.simulation.vendor import Habits

CALLS_A_SECOND = 0.2
"""The watchers of an account together need no more calls than this, so that waits can be checked as well."""
LONGEST_LIST = 4
"""The pages of the longest list that watchers read, if calls are small."""


@dataclass
class WatcherPlan:
    """One watcher.

    :param name: its name in traces, under which its state is stored.
    :param account: the account whose lists it reads.
    :param poke_interval: maximum seconds between two checks.
    :param reconcile_seconds: maximum seconds between two checks that do not rely on the list of changes.
    :param joins_at: when it starts.
    :param triggerer: the number of its triggerer.
    :param cancelled_at: when it is stopped.
    """

    name: str
    account: str
    poke_interval: float
    reconcile_seconds: float
    joins_at: float
    triggerer: int
    cancelled_at: float

    @property
    def interval(self) -> float:
        """The maximum seconds between two checks of any kind."""
        return min(self.poke_interval, self.reconcile_seconds)


def rows_for_watchers(rng: random.Random, rows: int, parcels: int) -> int:
    """Return the size of a page with which the lists of small calls have a few pages.

    :param rng: the generator of the watchers.
    :param rows: the size that was drawn for waits.
    :param parcels: how many parcels the largest account has.
    """
    return max(rows, math.ceil(parcels / rng.randint(1, LONGEST_LIST)))


def draw_watchers(
    rng: random.Random,
    account: str,
    habits: Habits,
    parcels: int,
    intervals: tuple[Sequence[float], Sequence[float]],
    ends_at: float,
    triggerers: int,
) -> list[WatcherPlan]:
    """Draw the watchers of one account, but not so many that they need every slot.

    :param rng: the generator of the watchers.
    :param account: the name of the account.
    :param habits: how its vendor behaves.
    :param parcels: how many parcels it has.
    :param intervals: the intervals of the run: ``poke_interval`` and ``reconcile_seconds``.
    :param ends_at: when the run ends.
    :param triggerers: how many triggerers there are.
    """
    count = rng.choice((1, 1, 2, 2, 3, 5))
    pages = habits.pages(parcels)
    shortest = count * (1 if pages == 1 else 2 * pages) / CALLS_A_SECOND
    pokes, reconciles = ([max(seconds, shortest) for seconds in kind] for kind in intervals)
    watchers = []
    together = rng.uniform(BEGINNING, BEGINNING + (ends_at - BEGINNING) / 3)
    for number in range(count):
        joins_at = together + rng.uniform(0, 3) if rng.random() < 0.6 else rng.uniform(BEGINNING, ends_at - 30)
        cancelled_at = ends_at if rng.random() < 0.7 else rng.uniform(joins_at, ends_at)
        name = f"watcher {account[-1]}{number}"
        poke, reconcile = rng.choice(pokes), rng.choice(reconciles)
        watchers.append(WatcherPlan(name, account, poke, reconcile, joins_at, rng.randrange(triggerers), cancelled_at))
    return watchers
