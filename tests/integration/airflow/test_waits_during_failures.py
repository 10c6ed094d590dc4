"""Many triggers of one account against the sandbox: odd responses, refusals, rotated keys, waits that join late."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.triggers.shipments import ShipmentStatusTrigger
from airflow_provider_trackingmore.waiting import failures
from airflow_provider_trackingmore.waiting.pollers import pollers_of_running_loop
from airflow_provider_trackingmore.waiting.spec import WaitSpec
from tests.integration.airflow.conftest import KEYS, START, connections
from tests.integration.airflow.parcels import parcel
from tests.polling import eventually

Seed = Callable[..., list[dict[str, Any]]]
WAITS = 60
NEW_KEY = "rotated-key-5c9e02"


@pytest.fixture(autouse=True)
def _short_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "FIRST_BACK_OFF", 0.05)


@pytest.fixture
def restore_key(sandbox: SandboxProcess) -> Any:
    """The sandbox is shared, and a reset restores the first key of the account."""
    yield
    sandbox.reset()
    sandbox.freeze()


async def event_of(shipments: list[dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"poke_interval": 0.2, "deadline": time.time() + 60, "first_check_at": 0}
    trigger = ShipmentStatusTrigger(WaitSpec.create(shipments=shipments, **(options | arguments)))
    (event,) = [event async for event in trigger.run()]
    payload: dict[str, Any] = event.payload
    return payload


async def start(parcels: list[dict[str, Any]], **arguments: Any) -> list[asyncio.Task[dict[str, Any]]]:
    """Start a wait for each parcel."""
    return [asyncio.create_task(event_of([parcel], **arguments)) for parcel in parcels]


async def test_a_wait_that_joins_later_receives_what_is_known_already(sandbox: SandboxProcess, seed: Seed) -> None:
    """The other wait checks once a minute, and only a delivery ends it."""
    (moving,) = seed("transit")
    patient = asyncio.create_task(event_of([moving], poke_interval=60))
    await eventually(lambda: bool(sandbox.calls()))
    await asyncio.sleep(6)
    began = time.monotonic()
    event = await event_of([moving], poke_interval=1, statuses=["transit", "pickup", "delivered"])
    assert event["result"] == "released"
    assert time.monotonic() - began < 30, "the other wait checks once a minute"
    assert not patient.done()
    patient.cancel()
    assert len(sandbox.calls()) <= 3, "one for each wait, and one more on a slow machine"


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        *(("html", {"status": status}) for status in (302, 401, 403, 404, 407, 408)),
        ("meta_code", {"value": 4999}),
        ("meta_code", {"value": 4001}),
        ("meta_code", {"value": 4002}),
    ],
    ids=lambda value: str(value.get("status") or value["value"]) if isinstance(value, dict) else value,
)
async def test_no_single_odd_response_ends_a_wait(
    sandbox: SandboxProcess, seed: Seed, kind: str, settings: dict[str, Any]
) -> None:
    parcels = seed(*(f"soon#{number}" for number in range(WAITS)))
    waits = await start(parcels)
    await eventually(lambda: len(sandbox.calls()) >= 3)
    fault = sandbox.fault(kind, **settings)
    await eventually(lambda: sum(sandbox.ledger()["faults"].values()) == 1)
    before = len(sandbox.calls())
    await eventually(lambda: len(sandbox.calls()) >= before + 2)
    assert not [wait for wait in waits if wait.done()], f"fault {fault} ended waits"
    await asyncio.to_thread(sandbox.advance, days=5)
    events = await asyncio.gather(*waits)
    assert [event["result"] for event in events] == ["released"] * WAITS


async def test_waits_with_one_key_and_two_hosts_call_their_own_host(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    parcels = [parcel("delivered")]
    sandbox.seed(shipments=[parcels[0] | {"age_hours": 0.0}], account=0)
    with SandboxProcess(api_keys=KEYS, no_limits=True, start=START, pacing="memory") as elsewhere:
        elsewhere.seed(shipments=[parcels[0] | {"age_hours": 48.0}], account=0)
        monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", json.dumps(elsewhere.connection_for(0)))
        here = asyncio.create_task(event_of(parcels))
        await eventually(lambda: len(sandbox.calls()) >= 2)
        event = await event_of(parcels, trackingmore_conn_id="elsewhere")
        assert event["result"] == "released"
        assert not here.done()
        here.cancel()


async def test_a_wait_does_not_depend_on_the_proxy_of_another_connection_with_the_same_key(
    sandbox: SandboxProcess, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    parcels = seed("delivered")
    connection = sandbox.connection_for(0)
    connection["extra"] = connection["extra"] | {"proxies": {"http": "http://127.0.0.1:9"}}
    monkeypatch.setenv("AIRFLOW_CONN_BEHIND_A_BROKEN_PROXY", json.dumps(connection))
    pollers = pollers_of_running_loop()
    stuck = asyncio.create_task(event_of(parcels, trackingmore_conn_id="behind_a_broken_proxy"))
    await eventually(lambda: pollers.open_waits == 1)
    event = await event_of(parcels, deadline=time.time() + 20)
    assert event["result"] == "released"
    assert not stuck.done()
    stuck.cancel()


@pytest.mark.parametrize("code", [4001, 4002])
async def test_a_refusal_that_a_second_attempt_confirms_ends_every_wait(
    sandbox: SandboxProcess, seed: Seed, code: int
) -> None:
    waits = await start(seed(*(f"transit#{number}" for number in range(WAITS))))
    await eventually(lambda: len(sandbox.calls()) >= 3)
    await asyncio.to_thread(sandbox.change_account, deleted=True, deleted_code=code)
    events = await asyncio.gather(*waits)
    assert {event["result"] for event in events} == {"error"}
    assert all(
        "check the API key in the password field of the Airflow connection" in event["reason"] for event in events
    )
    assert len([call for call in sandbox.calls() if call["code"] == code]) == 2


async def test_waits_continue_with_a_key_that_is_rotated_while_they_run(
    sandbox: SandboxProcess, seed: Seed, monkeypatch: pytest.MonkeyPatch, restore_key: None
) -> None:
    waits = await start(seed(*(f"soon#{number}" for number in range(WAITS))))
    await eventually(lambda: len(sandbox.calls()) >= 3)
    connection = connections(sandbox)["trackingmore_default"] | {"password": NEW_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))
    await asyncio.to_thread(sandbox.change_account, api_key=NEW_KEY)
    await eventually(lambda: bool([call for call in sandbox.calls() if call["code"] == 4002]))
    refused_at = len(sandbox.calls())
    await eventually(lambda: len([call for call in sandbox.calls()[refused_at:] if call["code"] == 200]) >= 2)
    assert not [wait for wait in waits if wait.done()]
    await asyncio.to_thread(sandbox.advance, days=5)
    events = await asyncio.gather(*waits)
    assert [event["result"] for event in events] == ["released"] * WAITS
    assert len([call for call in sandbox.calls() if call["code"] == 4002]) == 2, "the old key is no longer used"
    assert not [event for event in events if any(key in str(event) for key in (*KEYS, NEW_KEY))]


async def test_waits_end_with_the_reason_when_the_connection_keeps_a_key_that_was_rotated(
    sandbox: SandboxProcess, seed: Seed, restore_key: None
) -> None:
    waits = await start(seed(*(f"transit#{number}" for number in range(WAITS))))
    await eventually(lambda: len(sandbox.calls()) >= 3)
    await asyncio.to_thread(sandbox.change_account, api_key=NEW_KEY)
    events = await asyncio.gather(*waits)
    assert {event["result"] for event in events} == {"error"}
    assert all(
        "check the API key in the password field of the Airflow connection" in event["reason"] for event in events
    )


async def test_waits_end_with_the_reason_when_the_new_key_is_wrong_too(
    sandbox: SandboxProcess, seed: Seed, monkeypatch: pytest.MonkeyPatch, restore_key: None
) -> None:
    waits = await start(seed(*(f"transit#{number}" for number in range(WAITS))))
    await eventually(lambda: len(sandbox.calls()) >= 3)
    connection = connections(sandbox)["trackingmore_default"] | {"password": "a-typo-in-the-key"}
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))
    await asyncio.to_thread(sandbox.change_account, api_key=NEW_KEY)
    events = await asyncio.gather(*waits)
    assert {event["result"] for event in events} == {"error"}
    assert len([call for call in sandbox.calls() if call["code"] in (4001, 4002)]) == 4, "two for each key"
