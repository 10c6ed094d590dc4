"""The parcels of a wait, read from the sandbox with few calls, and shown without people."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.rate_limit import stores
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.plugins.page.parcels import INTERVAL_SECONDS, KEPT_SECONDS, ParcelReader, Reading
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from benchmarks import deferred_rows
from benchmarks.deferred_rows import Row

if TYPE_CHECKING:
    from tests.integration.plugins.page.conftest import ApiServer

RUN = "manual__2026-11-29T08:00:00+00:00"
PARCELS = [{"carrier_code": "usps", "tracking_number": f"PARCEL{number:04}"} for number in range(45)]
PEOPLE = {
    "customer_name": "Hildegard Aldringham",
    "customer_email": "h.aldringham@mail.example",
    "customer_phone": "+4915550172840",
}


@pytest.fixture
def sandbox(
    trackingmore_sandbox: SandboxProcess, airflow_database: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SandboxProcess]:
    monkeypatch.setattr(stores, "_in_this_process", {})
    deferred_rows.clear()
    trackingmore_sandbox.freeze()
    trackingmore_sandbox.seed(shipments=[parcel | PEOPLE | {"age_hours": 100} for parcel in PARCELS])
    trackingmore_sandbox.clear_ledger()
    yield trackingmore_sandbox
    deferred_rows.clear()


def read(api_server: ApiServer, task_id: str = "wait", **more: object) -> dict[str, Any]:
    query = {"dag_id": "orders", "run_id": RUN, "task_id": task_id, **more}
    answer = api_server.get("api/wait", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def lookups(sandbox: SandboxProcess) -> list[str]:
    return [call["path"] for call in sandbox.calls()]


def test_a_wait_shows_its_parcels_with_one_call_for_forty(api_server: ApiServer, sandbox: SandboxProcess) -> None:
    deferred_rows.insert([Row("orders", wait={"orders": {"A": PARCELS[:1], "B": PARCELS[1:]}})])
    found = read(api_server)
    assert (found["parcel_total"], len(found["parcels"]), found["parcels_from"]) == (45, 40, "api")
    assert lookups(sandbox) == ["/trackings/get"]
    first, second = found["parcels"][:2]
    assert (first["order"], second["order"]) == ("A", "B")
    assert set(first) == {
        "carrier_code", "tracking_number", "order", "status", "substatus", "delivered_at", "last_update",
        "tracking_url", "checkpoints",
    }  # fmt: skip
    assert first["status"] in ("transit", "pickup", "delivered", "undelivered", "exception")
    assert first["tracking_url"] is None, "the public pages do not know parcels of the sandbox"
    checkpoint = first["checkpoints"][0]
    assert set(checkpoint) == {"time", "place", "text", "status"}
    assert checkpoint["time"] == first["last_update"]
    assert found["parcels_error"] is None
    assert found["parcels_read_at"] < found["next_read_at"]


def test_reading_again_within_a_minute_makes_no_call(api_server: ApiServer, sandbox: SandboxProcess) -> None:
    deferred_rows.insert([Row("orders", wait={"shipments": PARCELS[:3]})])
    first = read(api_server)
    again = read(api_server)
    assert again["parcels_from"] == "cache"
    assert again["parcels"] == first["parcels"]
    assert len(lookups(sandbox)) == 1


def test_other_parcels_of_the_account_are_read_a_minute_later(api_server: ApiServer, sandbox: SandboxProcess) -> None:
    deferred_rows.insert([Row("orders", wait={"shipments": PARCELS})])
    read(api_server)
    rest = read(api_server, offset=40)
    assert (rest["parcels_from"], rest["parcels_read_at"], len(rest["parcels"])) == ("not_due", None, 5)
    assert rest["parcels"][0]["status"] is None
    assert rest["next_read_at"] is not None
    assert len(lookups(sandbox)) == 1


def test_a_task_that_is_no_wait_makes_no_call(api_server: ApiServer, sandbox: SandboxProcess) -> None:
    deferred_rows.insert(
        [Row("orders", operator="BashOperator", state="running"), Row("orders", "done", state="success")]
    )
    assert read(api_server)["is_wait"] is False
    assert read(api_server, "done")["is_wait"] is False
    api_server.get("api/waits")
    api_server.get("api/accounts")
    assert lookups(sandbox) == []


def test_people_are_not_shown(api_server: ApiServer, sandbox: SandboxProcess) -> None:
    number = PARCELS[0]["tracking_number"]
    texts = (
        "Handed over to ALDRINGHAM at the door",
        "Delivered, signed for by: H. Someone Else",
        "Call +49 155 501 72840",
    )
    for text in texts:
        sandbox.add_event("usps", number, text, status="transit")
    deferred_rows.insert([Row("orders", wait={"shipments": PARCELS[:2]})])
    found = read(api_server)
    shown = json.dumps(found, ensure_ascii=False)
    for person in ("ildegard", "ldringham", "LDRINGHAM", "5550172840", "Someone Else", "501 72840", "mail.example"):
        assert person not in shown
    assert "Handed over to … at the door" in shown


def test_a_parcel_that_is_not_registered_has_no_status(api_server: ApiServer, sandbox: SandboxProcess) -> None:
    missing = {"carrier_code": "usps", "tracking_number": "NOWHERE01"}
    deferred_rows.insert([Row("orders", wait={"shipments": [missing, PARCELS[0]]})])
    first, second = read(api_server)["parcels"]
    assert (first["status"], first["checkpoints"]) == (None, [])
    assert second["status"] is not None


def test_a_wrong_key_is_shown_without_the_key_and_asked_once_a_minute(
    api_server: ApiServer, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = sandbox.connection | {"password": "wrong-key-4d5e6f"}
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))
    deferred_rows.insert([Row("orders", wait={"shipments": PARCELS[:2]})])
    for expected in ("api", "not_due", "not_due"):
        found = read(api_server)
        assert (found["parcels_from"], found["parcels_read_at"]) == (expected, None)
        assert "API key" in found["parcels_error"]["hint"]
        assert "wrong-key" not in json.dumps(found)
    assert len(lookups(sandbox)) == 1


def test_a_connection_that_is_missing_is_named(api_server: ApiServer, sandbox: SandboxProcess) -> None:
    deferred_rows.insert([Row("orders", wait={"shipments": PARCELS[:1], "trackingmore_conn_id": "nowhere"})])
    found = read(api_server)
    assert "nowhere" in found["parcels_error"]["message"]
    assert found["parcels"][0]["status"] is None


def test_texts_can_be_left_out(api_server: ApiServer, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TRACKINGMORE__PAGE_EVENT_TEXTS", "drop")
    deferred_rows.insert([Row("orders", wait={"shipments": PARCELS[:1]})])
    checkpoints = read(api_server)["parcels"][0]["checkpoints"]
    assert {checkpoint["text"] for checkpoint in checkpoints} == {""}
    assert all(checkpoint["place"] for checkpoint in checkpoints)


# Several processes ---------------------------------------------------------------------------------------------------

KEYS = [ShipmentKey("usps", "PARCEL0000"), ShipmentKey("usps", "PARCEL0001")]


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader(sandbox: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Callable[[], Any]:
    """Readers as in different processes, which share only the file of the account."""
    monkeypatch.setenv(stores.DIRECTORY_VARIABLE, str(tmp_path))
    settings = ClientSettings(
        api_key=sandbox.connection["password"], base_url=sandbox.connection["host"], requests_per_second=100.0
    )

    def new() -> ParcelReader:
        return ParcelReader(lambda _: settings, clock=clock)

    return new


async def test_all_processes_together_make_one_call_a_minute(
    reader: Callable[[], ParcelReader], sandbox: SandboxProcess, clock: Clock
) -> None:
    readers = [reader() for _ in range(4)]

    async def read_all() -> list[Reading]:
        return [await one.read("any", [key]) for one in readers for key in KEYS]

    sources = [reading.source for reading in await read_all()]
    assert (sources.count("api"), sources.count("not_due")) == (1, 7)
    clock.now += INTERVAL_SECONDS - 1
    assert "api" not in {reading.source for reading in await read_all()}
    assert len(lookups(sandbox)) == 1
    clock.now += 3
    await read_all()
    assert len(lookups(sandbox)) == 2


async def test_old_parcels_are_shown_until_they_can_be_read_again_but_for_an_hour_at_most(
    reader: Callable[[], ParcelReader], clock: Clock
) -> None:
    here, elsewhere = reader(), reader()
    first = await here.read("any", KEYS[:1])
    clock.now += INTERVAL_SECONDS + 1
    assert (await elsewhere.read("any", KEYS[1:])).source == "api"
    stale = await here.read("any", KEYS[:1])
    assert (stale.source, stale.read_at, stale.parcels) == ("not_due", first.read_at, first.parcels)
    clock.now += KEPT_SECONDS
    assert (await elsewhere.read("any", KEYS[1:])).source == "api"
    assert (await here.read("any", KEYS[:1])).parcels == {}


async def test_requests_during_a_call_get_its_result(
    reader: Callable[[], ParcelReader], sandbox: SandboxProcess
) -> None:
    one = reader()
    found = await asyncio.gather(*(one.read("any", KEYS) for _ in range(10)))
    assert [reading.source for reading in found].count("api") == 1
    assert all(reading.parcels == found[0].parcels for reading in found)
    assert len(lookups(sandbox)) == 1


async def test_a_server_that_hangs_does_not_hold_up_airflows_own_threads(
    reader: Callable[[], ParcelReader], sandbox: SandboxProcess
) -> None:
    sandbox.fault("slow", seconds=5)
    one = reader()
    hanging = [asyncio.create_task(one.read("any", KEYS)) for _ in range(100)]
    await asyncio.sleep(0.5)
    async with asyncio.timeout(2):
        assert await asyncio.to_thread(lambda: 7) == 7
    for task in hanging:
        task.cancel()
    sandbox.clear_faults()
    await asyncio.gather(*hanging, return_exceptions=True)


READ_ONCE = """
import asyncio, json, sys
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.plugins.page.parcels import ParcelReader

url, key, number = sys.argv[1:]
settings = ClientSettings(api_key=key, base_url=url)
print("ready", flush=True)
sys.stdin.readline()
reading = asyncio.run(ParcelReader(lambda _: settings).read("any", [ShipmentKey("usps", number)]))
print(reading.source, len(reading.parcels))
"""


@pytest.mark.slow
def test_real_processes_that_start_at_once_make_one_call(
    sandbox: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(stores.DIRECTORY_VARIABLE, str(tmp_path))
    url, key = sandbox.connection["host"], sandbox.connection["password"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", READ_ONCE, url, key, f"PARCEL{number:04}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    for process in processes:
        assert process.stdout is not None
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
    found = [process.communicate("\n")[0].splitlines()[-1] for process in processes]
    assert sorted(found) == ["api 1", *["not_due 0"] * 5]
    assert lookups(sandbox) == ["/trackings/get"]
