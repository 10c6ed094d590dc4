"""The trigger that reports changes, against the sandbox: its events, its calls, and how it handles failures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from airflow.triggers import base

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.events.changes import shipment_changes
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.triggers import change_feed
from airflow_provider_trackingmore.triggers.shipment_changes import ShipmentChangesTrigger
from airflow_provider_trackingmore.triggers.shipments import ShipmentStatusTrigger
from airflow_provider_trackingmore.waiting import failures, pollers, schedule
from airflow_provider_trackingmore.waiting.spec import WaitSpec
from tests.integration.airflow.conftest import KEYS
from tests.polling import eventually

HAS_WATCHERS = hasattr(base, "BaseEventTrigger")
LIST = "/trackings/get"

pytestmark = pytest.mark.skipif(not HAS_WATCHERS, reason="asset watchers came with Airflow 3.0")


class AssetStore:
    """The asset's state store, as a trigger of Airflow 3.3 has it. It outlives the trigger."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.failures = 0

    async def aget(self, key: str, default: Any = None) -> Any:
        self._fail()
        return self.values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self._fail()
        assert isinstance(value, str)
        assert len(value) < 64 * 1024
        self.values[key] = value

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the API server is down")


class Watcher:
    """A running trigger, and its events."""

    def __init__(self, store: AssetStore | None = None, **arguments: Any) -> None:
        defaults = {"name": "shop", "poke_interval": 0.3, "reconcile_seconds": 0.3}
        self.trigger = ShipmentChangesTrigger(**{**defaults, **arguments})
        self.store = store or AssetStore()
        self.trigger.asset_state_store = self.store
        self.events: list[dict[str, Any]] = []
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Watcher:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Cancel it, as Airflow does."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        async for event in self.trigger.run():
            payload = event.payload
            assert json.loads(json.dumps(payload)) == payload, "plain JSON"
            self.events.append({"extra": {"from_trigger": True, "payload": payload}})
        raise AssertionError("it never ends")

    @property
    def statuses(self) -> list[tuple[str, str | None, str]]:
        found = shipment_changes(self.events)
        return [(change["tracking_number"], change["previous_status"], change["status"]) for change in found]

    @property
    def latest(self) -> dict[str, str]:
        """The newest status of each number."""
        return {number: status for number, _, status in self.statuses}

    @property
    def ids(self) -> list[str]:
        return [change["id"] for event in self.events for change in event["extra"]["payload"]["changes"]]

    async def until(self, number: int) -> list[tuple[str, str | None, str]]:
        """Wait until it has reported this many changes."""
        async with asyncio.timeout(60):
            while len(self.statuses) < number:
                assert not self._task.done() or self._task.result()
                await asyncio.sleep(0.02)
        return self.statuses

    async def until_stored(self, text: str = "shop.head") -> None:
        """Wait until a state has been stored."""
        await eventually(lambda: any(text in key for key in self.store.values))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_feed, "STORE_SECONDS", 0.1)
    monkeypatch.setattr(change_feed, "STORE_SECONDS_PER_EVENT", 0.0)
    monkeypatch.setattr(schedule, "GATHER_SECONDS", 0.1)
    monkeypatch.setattr(failures, "FIRST_BACK_OFF", 0.2)
    monkeypatch.setattr(failures, "MAX_BACK_OFF", 0.4)


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert not pollers.pollers_of_running_loop()._pollers
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "trackingmore-poller"]


@pytest.fixture
def vendor(sandbox: SandboxProcess) -> SandboxProcess:
    """Its clock stands still at the real time."""
    sandbox.reset(start=datetime.now(UTC).isoformat(timespec="seconds"))
    sandbox.freeze()
    return sandbox


def register(vendor: SandboxProcess, *numbers: str, age_hours: float = 1, **fields: Any) -> list[dict[str, Any]]:
    parcels = [{"carrier_code": "usps", "tracking_number": number} for number in numbers]
    vendor.seed(shipments=[parcel | {"age_hours": age_hours} | fields for parcel in parcels])
    return parcels


async def lists(vendor: SandboxProcess) -> list[dict[str, Any]]:
    return await asyncio.to_thread(vendor.calls, path=LIST)


async def test_every_change_is_reported_once_over_several_rounds(vendor: SandboxProcess) -> None:
    register(vendor, "SBX-DELIVERED-2D-1", "SBX-DELIVERED-4D-2")
    expected = {
        "SBX-DELIVERED-2D-1": "delivered",
        "SBX-DELIVERED-4D-2": "delivered",
        "SBX-EXCEPTION-1D-3": "exception",
    }
    async with Watcher() as watcher:
        await watcher.until_stored()
        assert watcher.events == [], "the first round reports nothing"
        await asyncio.to_thread(vendor.advance, days=1)
        await watcher.until(1)
        await asyncio.to_thread(register, vendor, "SBX-EXCEPTION-1D-3", age_hours=0)
        await asyncio.to_thread(vendor.advance, days=2)
        await asyncio.sleep(1.5)
        await asyncio.to_thread(vendor.advance, days=2)
        await eventually(lambda: watcher.latest == expected)
    by_number: dict[str, list[tuple[str | None, str]]] = {}
    for number, previous, status in watcher.statuses:
        by_number.setdefault(number, []).append((previous, status))
    assert by_number["SBX-EXCEPTION-1D-3"][0][0] is None
    for changes in by_number.values():
        for (_, before), (previous, _) in pairwise(changes):
            assert previous == before
    assert set(Counter(watcher.ids).values()) == {1}


async def test_a_restarted_trigger_continues_where_the_other_stopped(vendor: SandboxProcess) -> None:
    register(vendor, "SBX-DELIVERED-2D-1")
    async with Watcher() as first:
        await first.until_stored()
    vendor.advance(days=4)
    async with Watcher(first.store) as second:
        ((number, _, status),) = await second.until(1)
        assert (number, status) == ("SBX-DELIVERED-2D-1", "delivered")
    # Killed before the next round: the change is reported again, with the same id.
    async with Watcher(first.store) as third:
        await third.until(1)
        assert third.ids == second.ids
        await eventually(lambda: '"is_committed": true' in first.store.values["trackingmore_changes.shop.head"])
    async with Watcher(first.store) as fourth:
        before = len(await lists(vendor))
        await eventually(lambda: len(vendor.calls(path=LIST)) >= before + 4)
        assert fourth.events == []


async def test_a_cleared_state_is_a_first_start(vendor: SandboxProcess) -> None:
    register(vendor, "SBX-DELIVERED-1D-1", age_hours=72)
    async with Watcher(include_existing=True) as first:
        await first.until(1)
    async with Watcher(include_existing=True) as second:
        await second.until(1)
    assert first.ids == second.ids
    assert first.statuses == [("SBX-DELIVERED-1D-1", None, "delivered")]


async def test_many_changes_are_split_into_events(vendor: SandboxProcess) -> None:
    register(vendor, *(f"SBX-STUCK-{number}" for number in range(25)))
    async with Watcher(include_existing=True, max_changes_per_event=10) as watcher:
        await watcher.until(25)
        await eventually(lambda: len(watcher.events) == 4)
        await asyncio.sleep(1)
    sizes = [len(event["extra"]["payload"]["changes"]) for event in watcher.events]
    assert sizes == [10, 10, 5, 0], "the last one makes Airflow start a run for the remaining events"


async def test_a_change_without_a_time_of_change_is_found_by_the_full_check(vendor: SandboxProcess) -> None:
    vendor.switch(updated_at_delivered="null")
    register(vendor, "SBX-DELIVERED-2D-1", "SBX-STUCK-2")
    async with Watcher(poke_interval=0.2, reconcile_seconds=1.0) as watcher:
        await watcher.until_stored()
        vendor.advance(days=4)
        await eventually(lambda: watcher.latest.get("SBX-DELIVERED-2D-1") == "delivered")
    queries = [call["query"] for call in await lists(vendor)]
    assert sum("update_time_min" in query for query in queries) > sum(
        "update_time_min" not in query for query in queries
    )


async def test_two_watchers_and_a_wait_share_their_calls(vendor: SandboxProcess) -> None:
    parcels = register(vendor, *(f"SBX-STUCK-{number}" for number in range(30)))
    wait = ShipmentStatusTrigger(
        WaitSpec.create(shipments=parcels, poke_interval=1.0, reconcile_seconds=1.0, first_check_at=0)
    )

    async def run_wait() -> None:
        async for _ in wait.run():
            raise AssertionError("nothing arrives")

    waiting = asyncio.create_task(run_wait())
    before = len(await lists(vendor))
    async with (
        Watcher(name="one", poke_interval=1.0, reconcile_seconds=1.0) as one,
        Watcher(name="two", poke_interval=1.0, reconcile_seconds=1.0, statuses=["delivered"]) as two,
    ):
        await one.until_stored("one.head")
        await two.until_stored("two.head")
        begun = len(await lists(vendor))
        assert begun - before <= 2, "one list for both watchers, and at most the wait's first check"
        began = time.monotonic()
        await eventually(lambda: len(vendor.calls(path=LIST)) >= begun + 6)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    queries = [call["query"] for call in (await lists(vendor))[begun:]]
    rounds = sum("update_time_min" in query for query in queries)
    assert 2 <= rounds <= time.monotonic() - began + 2, "a round a second"
    assert len(queries) <= 2 * rounds + 1, "a full list and a list of changes for all three"
    assert not [query for query in queries if "numbers" in query], "the wait needs no calls of its own"


async def test_a_watcher_with_filters_does_not_share_the_lists_of_others(vendor: SandboxProcess) -> None:
    register(vendor, "SBX-STUCK-1", age_hours=240)
    register(vendor, "SBX-STUCK-2")
    since = datetime.now(UTC).timestamp() - 86_400
    async with (
        Watcher(name="all", include_existing=True) as all_of_them,
        Watcher(name="new", include_existing=True, filters={"created_at_min": since}) as only_new,
    ):
        await all_of_them.until(2)
        await only_new.until(1)
    assert [number for number, _, _ in only_new.statuses] == ["SBX-STUCK-2"]


async def test_what_a_list_leaves_out_is_found_by_number(vendor: SandboxProcess) -> None:
    register(vendor, "SBX-DELIVERED-2D-1", age_hours=1)
    register(vendor, "SBX-STUCK-2", age_hours=1)
    async with Watcher() as watcher:
        await watcher.until_stored()
        await asyncio.to_thread(vendor.delete, "usps", "SBX-STUCK-2")
        await eventually(lambda: vendor.calls(path="/trackings/usps/SBX-STUCK-2"))
        await asyncio.sleep(1.0)
        calls = len(await asyncio.to_thread(vendor.calls, path="/trackings/usps/SBX-STUCK-2"))
        await asyncio.sleep(1.0)
        assert len(await asyncio.to_thread(vendor.calls, path="/trackings/usps/SBX-STUCK-2")) == calls, (
            "it has been dropped"
        )
    assert watcher.events == []


async def test_a_wrong_key_is_logged_once_and_retried_with_back_off(
    vendor: SandboxProcess, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(vendor, "SBX-STUCK-1")
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(vendor.connection_for(0) | {"password": "wrong-key-4d5e6f"}))
    async with Watcher(trackingmore_conn_id="shop", include_existing=True) as watcher:
        began = time.monotonic()
        await eventually(lambda: len(vendor.calls(path=LIST)) >= 4)
        await asyncio.sleep(1)
        assert len(await lists(vendor)) <= 7 * (time.monotonic() - began), "it continues, with back-off"
        said = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert len([record for record in said if "Watcher shop" in record.getMessage()]) == 1, said
        assert len(said) <= 2, [record.getMessage() for record in said]
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(vendor.connection_for(0)))
        await watcher.until(1)
    assert "Watcher shop has recovered after" in caplog.text
    assert "wrong-key" not in caplog.text
    assert KEYS[0] not in caplog.text


async def test_it_recovers_from_any_failure(vendor: SandboxProcess, caplog: pytest.LogCaptureFixture) -> None:
    register(vendor, "SBX-DELIVERED-2D-1")
    vendor.fault("500", path=LIST, count=4)
    store = AssetStore()
    store.failures = 2
    async with Watcher(store, include_existing=True) as watcher:
        await watcher.until(1)
        store.failures = 3
        vendor.advance(days=4)
        changes = await watcher.until(2)
    assert changes[-1][2] == "delivered"
    assert set(Counter(watcher.ids).values()) == {1}, "a store that fails loses and repeats nothing"
    assert caplog.text.count("its state cannot be") == 2


async def test_a_trigger_of_several_assets_says_so(vendor: SandboxProcess, caplog: pytest.LogCaptureFixture) -> None:
    class SeveralAssets(AssetStore):
        async def aget(self, key: str, default: Any = None) -> Any:
            raise ValueError("Task has 2 concrete inlets and outlets")

    async with Watcher(SeveralAssets()):
        await eventually(lambda: "several assets" in caplog.text)


async def test_of_two_triggers_of_one_watcher_the_other_takes_over(
    vendor: SandboxProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """The same watcher in two DAG files is two triggers, one of which may end because its DAG is paused."""
    register(vendor, "SBX-DELIVERED-2D-1")
    store = AssetStore()
    async with Watcher(store) as one:
        await one.until_stored()
        async with Watcher(store) as two:
            await eventually(lambda: "Watcher shop runs twice" in caplog.text)
            await asyncio.to_thread(vendor.advance, days=1)
            await one.until(1)
            await one.stop()
            await asyncio.to_thread(vendor.advance, days=3)
            await eventually(lambda: two.latest == {"SBX-DELIVERED-2D-1": "delivered"})
    assert one.latest != two.latest, "the first one did not report it"


async def test_of_two_watchers_in_two_triggerers_one_stands_by(
    vendor: SandboxProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(change_feed, "watcher_lock", lambda key: asyncio.Lock())
    caplog.set_level(logging.INFO)
    register(vendor, "SBX-DELIVERED-4D-1")
    store = AssetStore()
    async with Watcher(store) as one, Watcher(store) as two:
        await eventually(lambda: "stands by" in caplog.text)
        for _ in range(5):
            await asyncio.to_thread(vendor.advance, days=1)
            await asyncio.sleep(0.5)
        await eventually(lambda: "delivered" in {*one.latest.values(), *two.latest.values()})
    together = shipment_changes([*one.events, *two.events])
    for before, after in pairwise(together):
        assert after["previous_status"] == before["status"]
    assert together[-1]["status"] == "delivered"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_nothing_personal_leaves(
    vendor: SandboxProcess, personal_data: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    from tests.integration.airflow.parcels import PERSONAL

    register(vendor, "SBX-DELIVERED-1D-1", age_hours=72, **PERSONAL)
    async with Watcher(include_existing=True) as watcher:
        await watcher.until(1)
        await asyncio.sleep(1)
    shown = json.dumps(watcher.events) + json.dumps(watcher.trigger.serialize()) + caplog.text
    shown += json.dumps(watcher.store.values)
    personal_data.remove("A-1001")
    for secret in (*KEYS, *personal_data):
        assert secret not in shown


async def test_a_hint_shows_a_delivery_at_once_even_if_the_list_of_changes_leaves_it_out(
    vendor: SandboxProcess,
) -> None:
    register(vendor, "SBX-STUCK-1", "SBX-STUCK-2")
    async with Watcher(poke_interval=3600, reconcile_seconds=3600) as watcher:
        await watcher.until_stored()
        for number, status in (("SBX-STUCK-1", "delivered"), ("SBX-STUCK-2", "exception")):
            await asyncio.to_thread(vendor.add_event, "usps", number, "News", status=status)
            (poller,) = pollers.pollers_of_running_loop().all
            poller.check_lists_now([ShipmentKey("USPS", number.lower())])
            if status == "delivered":
                assert await watcher.until(1) == [("SBX-STUCK-1", "notfound", "delivered")]
        assert [change for change in watcher.statuses if change[0] == "SBX-STUCK-2"] == [], "not twice in half a minute"
