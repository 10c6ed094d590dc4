"""Changes of settled shipments at the worst moment: while a load reads, or recorded late by the vendor."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.load import Load, LoadOptions, run_load
from airflow_provider_trackingmore.loading.rows import RowOptions
from airflow_provider_trackingmore.loading.source import ShipmentSource
from airflow_provider_trackingmore.loading.state import LoadState
from airflow_provider_trackingmore.loading.window import OVERLAP_SECONDS
from tests.unit.loading.memory_target import MemoryTarget
from tests.unit.loading.random_account import DAY, RECORDING_SECONDS, Parcel, RandomAccount

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
SETTLED, STRAGGLER, RECENT = (ShipmentKey("ups", name) for name in ("SETTLED", "STRAGGLER", "RECENT"))


class ScriptedAccount(RandomAccount):
    """A settled shipment, one that is open for long, and a recent one; something happens at given calls."""

    def __init__(self, skew: int = 0) -> None:
        super().__init__(random.Random(1), START + 30 * DAY)
        self.skew = skew
        self.before_call: dict[int, Callable[[], None]] = {}
        for key, status, age_days in ((SETTLED, "delivered", 30), (STRAGGLER, "transit", 29), (RECENT, "transit", 1)):
            created_at = self.now - age_days * DAY
            self.parcels[tuple(key)] = Parcel(*key, created_at, status, updated_at=created_at + skew)

    def send(self, request: Request[Any], /) -> Any:
        self.before_call.pop(self.calls + 1, lambda: None)()
        return super().send(request)

    def change(self, key: ShipmentKey, *, recorded_late: float = 0) -> None:
        parcel = self.parcels[tuple(key)]
        parcel.order_id = f"changed at {self.now}"
        parcel.updated_at = self.now + self.skew - recorded_late


class Loads:
    def __init__(self, account: ScriptedAccount) -> None:
        self.account, self.target, self.state = account, MemoryTarget(), LoadState()

    def load(self) -> None:
        account = self.account
        now = self.target.now = datetime.fromtimestamp(account.now, UTC)
        options = LoadOptions(RowOptions("shop"), max_open=timedelta(days=5))
        load = Load(ShipmentSource(account.send, lambda: account.calls), self.target.known, self.state, options, now)
        self.state = run_load(load, self.target)

    def is_up_to_date(self, key: ShipmentKey) -> bool:
        return bool(self.target.trackings[key]["order_id"] == self.account.parcels[tuple(key)].order_id)


def test_a_change_that_the_vendor_records_late_is_found() -> None:
    account = ScriptedAccount()
    loads = Loads(account)
    loads.load()
    account.now += DAY
    account.change(RECENT)
    loads.load()
    assert SETTLED not in loads.state.open, "only the query for changes can find it"
    account.now += 60
    account.change(SETTLED, recorded_late=RECORDING_SECONDS)
    account.now += DAY
    loads.load()
    assert loads.is_up_to_date(SETTLED)


@pytest.mark.parametrize("call", [1, 2, 3], ids=["window", "changes", "by number"])
def test_a_change_while_a_slow_load_reads_is_found_by_the_next_one(call: int) -> None:
    """The vendor's clock is two hours late, so that what it dates during the load looks older than the load."""
    account = ScriptedAccount(skew=-7200)
    loads = Loads(account)
    loads.load()
    account.now += DAY
    account.change(RECENT)
    newest = int(account.now) - 7200
    before = account.calls

    def changes() -> None:
        account.now += 600
        account.change(SETTLED)
        account.now += 6_600

    def straggles() -> None:
        account.now += 60
        account.change(STRAGGLER)

    account.before_call = {before + call: changes}
    if call < 3:
        account.before_call[before + 3] = straggles
    loads.load()
    assert account.calls == before + 3
    assert loads.is_up_to_date(STRAGGLER)
    assert loads.state.cursor == newest - OVERLAP_SECONDS, "only the list of the window moves the cursor"
    account.now += DAY
    loads.load()
    assert loads.is_up_to_date(SETTLED)
