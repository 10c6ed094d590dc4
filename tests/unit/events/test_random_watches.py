"""Watchers that die at any moment: the consumer misses nothing, and a change that comes twice has the same id.

``CHANGE_SEEDS=1000`` runs more of them; a failing one can be replayed with ``pytest -k seed-17``.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from itertools import pairwise

import pytest

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.history import supersedes
from airflow_provider_trackingmore.waiting.observation import Observation
from tests.unit.events.random_watch import RandomWatch
from tests.unit.loading.random_account import DAY, FINAL
from tests.unit.waiting.conftest import VirtualTimeLoop

SEEDS = range(int(os.environ.get("CHANGE_SEEDS", "8")))
SETTLE = 3 * DAY
SKEW = 7200.0


@pytest.mark.parametrize("watchers", [1, 2], ids=["one", "two"])
@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}")
def test_no_change_is_missing_however_often_the_watcher_dies(seed: int, watchers: int) -> None:
    watch = RandomWatch(seed, is_cheap=True if watchers > 1 else None)

    async def run() -> None:
        await watch.live(12, watchers=watchers)
        state = await watch.settle()
        reported = watch.reported()
        for parcel in watch.account.vendor.parcels.values():
            key = ShipmentKey(parcel.carrier, parcel.number)
            if parcel.hidden or parcel.poison:
                continue  # it never appears in a response
            seen = state.shipments.get(key.normalized)
            observed = Observation.from_record(watch.account.vendor.item(parcel), watch.account.clock())
            last = reported[key][-1]["status"] if key in reported else None
            if seen is not None:
                assert last == seen.status, f"{key}: {last} was reported, but the state has {seen}"
                assert seen.status == parcel.status or not supersedes(observed, seen.observed, reopens=True)
            elif last != parcel.status:
                # It was settled and dropped, and has changed silently since.
                assert parcel.changes, f"{key} was never reported"
                assert parcel.was_hidden or not parcel.changes[-1][1], f"{key} is {parcel.status}, not {last}"
                assert parcel.status in FINAL
        for key, changes in reported.items():
            assert [change["sequence"] for change in changes] == sorted({change["sequence"] for change in changes})
            parcel_or_none = watch.account.vendor.parcels.get(tuple(key))
            for (previous, status), count in Counter((c["previous_status"], c["status"]) for c in changes).items():
                if previous is not None and parcel_or_none is not None:
                    assert count <= parcel_or_none.statuses.count(status), (
                        f"{key}: {previous} to {status} has several ids"
                    )

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}")
def test_without_deaths_each_change_comes_once(seed: int) -> None:
    watch = RandomWatch(seed)

    async def run() -> None:
        await watch.run(10 * DAY)
        ids = Counter(change["id"] for event in watch.stored for change in event["extra"]["payload"]["changes"])
        assert ids
        assert set(ids.values()) == {1}
        for changes in watch.reported().values():
            for before, after in pairwise(changes):
                assert after["previous_status"] in (before["status"], None)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


@pytest.mark.parametrize("seed", SEEDS[:4], ids=lambda seed: f"seed-{seed}")
def test_the_state_stays_small(seed: int) -> None:
    """Whatever was registered: settled shipments leave it after three days."""
    watch = RandomWatch(seed)

    async def run() -> None:
        await watch.run(10 * DAY)
        watch.account.is_calm = True
        await watch.run(4 * DAY)
        state = await watch.settle()
        parcels = {ShipmentKey(*key).normalized: parcel for key, parcel in watch.account.vendor.parcels.items()}
        unexpected = [key for key in state.shipments if key not in parcels or parcels[key].status in FINAL]
        # A late event after a delivery is no change, since its status is older. Poisoned numbers are in no response.
        assert [
            key for key in unexpected if not (key in parcels and (parcels[key].poison or parcels[key].changes))
        ] == []
        assert len(state.shipments) <= 10 + sum(parcel.status not in FINAL for parcel in parcels.values())

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
