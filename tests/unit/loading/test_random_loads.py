"""Nightly loads of an account whose shipments change at random: nothing is missing, and nothing is stale beyond the
stated bound. ``LOAD_SEEDS=1000`` runs more of them; a failing one can be replayed with ``pytest -k seed-17``.
"""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.load import Load, LoadOptions, run_load
from airflow_provider_trackingmore.loading.rows import RowOptions
from airflow_provider_trackingmore.loading.source import ShipmentSource
from airflow_provider_trackingmore.loading.state import LoadState
from tests.unit.loading.memory_target import MemoryTarget
from tests.unit.loading.random_account import FINAL, RECORDING_SECONDS, Parcel, RandomAccount

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
SETTLE = timedelta(days=3)
SKEW = timedelta(hours=2).total_seconds() + RECORDING_SECONDS


class Nights:
    """Loads of one account, one after the other."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.account = RandomAccount(self.rng, START)
        self.max_open = timedelta(days=self.rng.choice([5, 20, 90]))
        self.target = MemoryTarget()
        self.state = LoadState()
        self.may_be_settled: dict[ShipmentKey, float] = {}

    def load(self, *, fail_at: int | None = None, full_refresh: bool = False, is_busy: bool = False) -> None:
        account, before = self.account, self.target.copy()
        account.busy_calls = 10 if is_busy else 0
        account.seconds_per_busy_call = self.rng.choice([1, 3000])
        now = datetime.fromtimestamp(account.now, UTC)
        for parcel in self.account.parcels.values():
            self._note_settled(ShipmentKey(parcel.carrier, parcel.number), parcel, now.timestamp())
        account.fail_at = None if fail_at is None else account.calls + fail_at
        source = ShipmentSource(account.send, lambda: account.calls)
        self.target.now = now
        options = LoadOptions(
            RowOptions("shop"), settle=SETTLE, max_open=self.max_open, full_refresh=full_refresh
        )  # fmt: skip
        load = Load(source, self.target.known, LoadState.from_dict(self.state.to_dict()), options, now)
        try:
            state = run_load(load, self.target)
        except TrackingMoreError:
            assert fail_at is not None
            self.target = before
            return
        finally:
            account.fail_at, account.busy_calls = None, 0
        self.state = state
        if not is_busy:
            self.check(server_failed=fail_at is not None)

    def check(self, *, server_failed: bool) -> None:
        """Compare what is loaded with what the vendor would answer now; nothing happens in between."""
        is_disturbed = any(parcel.poison for parcel in self.account.parcels.values())
        for parcel in self.account.parcels.values():
            key = ShipmentKey(parcel.carrier, parcel.number)
            if parcel.was_hidden and key not in self.target.trackings:
                continue  # the lists of its window did not contain it
            if key in self.state.open and (parcel.poison or server_failed or (parcel.hidden and is_disturbed)):
                continue  # nothing answered for it; the next load tries again
            if self._may_be_stale(key, parcel):
                continue
            assert self._loaded(key) == self._answered(parcel), str(key)
        for key, row in self.target.trackings.items():
            if tuple(key) not in self.account.parcels and row["missing_since"] is None:
                assert key in self.state.open or key in self.may_be_settled, f"{key} was deleted"

    def _loaded(self, key: ShipmentKey) -> dict[str, object]:
        row = self.target.trackings.get(key)
        assert row is not None, f"{key} is missing"
        return {
            "status": row["status"],
            "archived": row["is_archived"],
            "order": row["order_id"],
            "missing": row["missing_since"],
            "events": sorted(
                stored["description"]
                for (owner, _), stored in self.target.events.items()
                if owner == key and stored["superseded_at"] is None
            ),
        }

    def _answered(self, parcel: Parcel) -> dict[str, object]:
        return {
            "status": parcel.status,
            "archived": parcel.archived,
            "order": parcel.order_id,
            "missing": None,
            "events": sorted(event["StatusDescription"] for event in parcel.events),
        }

    def _note_settled(self, key: ShipmentKey, parcel: Parcel, now: float) -> None:
        """Remember since when a load may have taken a shipment for settled."""
        active = max([parcel.created_at, *(at for at, _ in parcel.changes)])
        if parcel.status in FINAL and now - active >= SETTLE.total_seconds() - SKEW:
            self.may_be_settled.setdefault(key, now)
        elif key in self.target.trackings and self._loaded(key) == self._answered(parcel):
            self.may_be_settled.pop(key, None)

    def _may_be_stale(self, key: ShipmentKey, parcel: Parcel) -> bool:
        """Whether a shipment was settled and has only changed silently since, or the list does not contain it."""
        settled_at = self.may_be_settled.get(key)
        if settled_at is None:
            return False
        changes = [(at, dated) for at, dated in parcel.changes if at > settled_at]
        return bool(changes) and (parcel.hidden or parcel.poison or not changes[-1][1])


@pytest.mark.parametrize("seed", range(int(os.environ.get("LOAD_SEEDS", "8"))), ids=lambda seed: f"seed-{seed}")
def test_nothing_is_missing_or_stale_after_a_night(seed: int) -> None:
    nights = Nights(seed)
    for _ in range(40):
        nights.account.live(nights.rng.choice([0.2, 1, 1, 1, 1, 1, 4, 10]))
        if nights.rng.random() < 0.2:
            nights.load(fail_at=nights.rng.randrange(1, 4))
        if nights.rng.random() < 0.3:
            nights.load(is_busy=True)
        if nights.rng.random() < 0.5:
            nights.account.rush()
        nights.load(full_refresh=nights.rng.random() < 0.02)
        if nights.rng.random() < 0.5:
            nights.account.rush()
