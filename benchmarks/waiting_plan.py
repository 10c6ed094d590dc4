"""The plan of a benchmark: which parcels are waited for, when they arrive, and the fewest calls that can detect it.

Only :func:`register_parcels` calls the sandbox; the rest is arithmetic.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

Parcel: TypeAlias = tuple[str, str]
"""Carrier code and number."""

StateChange: TypeAlias = tuple[str, str, float]
"""A task, its new state, and when, in Unix seconds."""

NUMBERS_IN_A_CALL = 40
ROWS_IN_A_PAGE = 2000
RECONCILE_SECONDS = 1800.0
"""Clock seconds in which every open shipment is fully checked at least once."""
POKE_SECONDS = 60.0
"""Clock seconds between checks, for all sides: Airflow's default."""
TOLERANCE_SECONDS = 0.25
"""Real; switch ``rate_tolerance``, as in the pytest fixture: a busy machine does not deliver evenly."""
LEAD_SECONDS = 120.0
"""Clock seconds before the first parcel is delivered: all waits have begun by then."""
EXCEPTION = ("ups", "SBX-EXCEPTION-1D-BAD")
UNREGISTERED = ("ups", "SBX-DELIVERED-1D-NEVERREGISTERED")
_CARRIERS = ("dhl", "ups", "usps", "gls")


def orders(count: int) -> list[list[Parcel]]:
    """Create orders: of twenty, seventeen have one parcel, two have two, one has three.

    Of fifty parcels one was delivered before the vendor checked it, and so has no ``updated_at``: asking for what has
    changed does not show it (reference, "where the vendor is unclear").

    :param count: how many orders.
    :return: the parcels of each.
    """
    made: list[list[Parcel]] = []
    serial = 0
    for order in range(count):
        parcels: list[Parcel] = []
        for _ in range({7: 2, 14: 2, 19: 3}.get(order % 20, 1)):
            journey = "INSTANT" if serial % 50 == 49 else "DELIVERED-1D"
            parcels.append((_CARRIERS[serial % 4], f"SBX-{journey}-{serial:06d}"))
            serial += 1
        made.append(parcels)
    return made


@dataclass(frozen=True)
class Timeline:
    """When the vendor shows which change, in clock seconds.

    :param began: when the clock began to run.
    :param final: when each parcel's last change shows.
    :param changes: when any change shows, and of which parcel, in order.
    :param created: when each parcel was registered.
    """

    began: float
    final: dict[Parcel, float]
    changes: list[tuple[float, Parcel]]
    created: dict[Parcel, float]

    def arrival_of(self, order: Iterable[Parcel]) -> float:
        """Return when the last parcel of an order arrives."""
        return max(self.final[parcel] for parcel in order)

    def fewest(self, first_check: float, until: float) -> tuple[int, int]:
        """Apply :func:`fewest_calls` to the ticks of one poke interval from the first check on.

        :param first_check: clock seconds.
        :param until: clock seconds of the last check that somebody waits for.
        :return: calls, and the number of ticks.
        """
        last = max(self.final.values())
        created = sorted(self.created.values())
        open_at, listed, changed = [len(created)], [len(created)], [len(created)]
        tick = first_check
        while tick + POKE_SECONDS / 2 <= until and last > tick:  # that cycle is over by then, or nearly
            still_open = [self.created[parcel] for parcel, final in self.final.items() if final > tick]
            open_at.append(len(still_open))
            listed.append(len(created) - bisect_left(created, min(still_open)))
            first, behind = (bisect_right(self.changes, at, key=itemgetter(0)) for at in (tick, tick + POKE_SECONDS))
            changed.append(len({parcel for _, parcel in self.changes[first:behind]}))
            tick += POKE_SECONDS
        return fewest_calls(open_at, listed, changed, int(RECONCILE_SECONDS // POKE_SECONDS)), len(open_at)


def fewest_calls(open_at: Sequence[int], listed: Sequence[int], changed: Sequence[int], period: int) -> int:
    """Return the fewest calls that check every open shipment in full once a period and find changes each cycle.

    A full check takes a call for 40 of them by number, or one for 2,000 rows of the list, in which shipments stay when
    they have arrived; it also tells what has changed. A cycle without one still needs a call, and one for each 2,000
    changes. The first check is full, since nothing is known; the next full one is as late as allowed. Spreading a full
    check over cycles saves nothing: its pages do not show changes on other pages. It supposes an account that holds
    nothing but what is waited for.

    :param open_at: how many shipments are open, for each cycle.
    :param listed: how many were registered since the oldest open one.
    :param changed: how many have changed since the cycle before.
    :param period: cycles in a reconcile period.
    :return: the number of calls.
    """
    calls = 0
    for cycle, (still_open, rows, news) in enumerate(zip(open_at, listed, changed, strict=True)):
        if still_open:
            full = min(math.ceil(still_open / NUMBERS_IN_A_CALL), math.ceil(rows / ROWS_IN_A_PAGE))
            calls += full if cycle % period == 0 else min(full, max(1, math.ceil(news / ROWS_IN_A_PAGE)))
    return calls


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed (nearest rank).

    :param values: not empty; may be infinite.
    :param share: 0 to 1.
    """
    ranked = sorted(values)
    return ranked[max(math.ceil(share * len(ranked)), 1) - 1]


def sum_slot_seconds(changes: Iterable[StateChange]) -> float:
    """Add up the seconds that tasks had a slot: to Airflow's pools those are the queued and the running ones.

    :param changes: in the order of time.
    :return: slot seconds.
    """
    total, since = 0.0, dict[str, float]()
    for task, state, at in changes:
        if task in since:
            total += at - since.pop(task)
        if state in ("queued", "running"):
            since[task] = at
    return total


def register_parcels(
    sandbox: SandboxProcess, parcels: Sequence[Parcel], spread: float, accounts: int = 1, lead: float = LEAD_SECONDS
) -> list[Timeline]:
    """Register parcels so that they are delivered evenly over a while from now on, and start the clock.

    A parcel's life follows from its number; only its age is chosen, by registering everything twice.

    :param sandbox: running; begins anew.
    :param parcels: magic numbers.
    :param spread: clock seconds over which they are delivered, after ``lead``.
    :param accounts: how many accounts get the parcels, from the first one on.
    :param lead: clock seconds until the first is delivered.
    :return: what each account shows; read from the sandbox, not computed.
    """
    rng = random.Random(1)
    wanted = [lead + spread * (at + rng.random()) / len(parcels) for at in range(len(parcels))]
    rng.shuffle(wanted)
    rows = [{"carrier_code": carrier, "tracking_number": number} for carrier, number in parcels]
    sandbox.freeze()
    for account in range(accounts):
        sandbox.seed(shipments=rows, account=account)
    lasts = [
        {_key(row): row["changes"][-1]["at"] - row["created_at"] for row in sandbox.trackings(account)}
        for account in range(accounts)
    ]
    sandbox.reset()
    sandbox.freeze()
    for account, lives in enumerate(lasts):
        aged = [
            row | {"age_hours": max(lives[parcel] - when, 0.0) / 3600}
            for row, parcel, when in zip(rows, parcels, wanted, strict=True)
        ]
        sandbox.seed(shipments=aged, account=account)
    timelines = [_timeline(sandbox, account) for account in range(accounts)]
    sandbox.freeze(False)
    return timelines


def _timeline(sandbox: SandboxProcess, account: int) -> Timeline:
    began: float = sandbox.clock()["unix"]
    rows = sandbox.trackings(account)
    final = {_key(row): row["changes"][-1]["at"] for row in rows}
    changes = sorted((change["at"], _key(row)) for row in rows for change in row["changes"] if change["at"] > began)
    return Timeline(began, final, changes, {_key(row): row["created_at"] for row in rows})


def _key(row: dict[str, Any]) -> Parcel:
    return row["carrier_code"], row["tracking_number"]
