"""The trigger against the sandbox: one event for each way that a wait can end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.triggers import connections
from airflow_provider_trackingmore.triggers.shipments import ShipmentStatusTrigger
from airflow_provider_trackingmore.waiting import cooperative, failures, pollers, spec
from airflow_provider_trackingmore.waiting.condition import Condition
from airflow_provider_trackingmore.waiting.outcome import Outcome
from airflow_provider_trackingmore.waiting.spec import WaitSpec
from tests.integration.airflow.conftest import KEYS
from tests.integration.airflow.parcels import parcel
from tests.polling import eventually

Seed = Callable[..., list[dict[str, Any]]]
LIST = "/trackings/get"


def trigger(shipments: list[dict[str, Any]] | None = None, **arguments: Any) -> ShipmentStatusTrigger:
    defaults = {"shipments": shipments, "poke_interval": 0.05, "deadline": time.time() + 30, "first_check_at": 0}
    return ShipmentStatusTrigger(WaitSpec.create(**(defaults | arguments)))


def outcomes(event: dict[str, Any]) -> list[str]:
    """Return the outcome of each shipment of a wait without orders."""
    (rows,) = event["outcomes"]
    return [row[0] for row in rows]


async def event_of(waiting: ShipmentStatusTrigger) -> dict[str, Any]:
    events = [event async for event in waiting.run()]
    assert len(events) == 1
    payload = events[0].payload
    assert json.loads(json.dumps(payload)) == payload, "plain JSON"
    assert set(payload) == {"version", "result", "reason", "wait", "outcomes"}
    assert payload["version"] == 1
    return payload


@pytest.fixture(autouse=True)
async def nothing_left_over() -> AsyncIterator[None]:
    """No task, poller or socket outlives a wait."""
    yield
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(3):
            await asyncio.sleep(0)
        # A call that was under way when its wait was cancelled ends later, in its thread.
        await asyncio.get_running_loop().shutdown_default_executor()
        gc.collect()
    assert not [str(warning.message) for warning in warned if "socket" in str(warning.message)]
    assert not pollers.pollers_of_running_loop()._pollers
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "trackingmore-poller"]


async def test_released_when_the_last_parcel_arrives(sandbox: SandboxProcess, seed: Seed) -> None:
    parcels = seed("soon", "delivered")
    waiting = asyncio.create_task(event_of(trigger(parcels)))
    await eventually(lambda: len(sandbox.calls(path=LIST)) >= 2)
    assert not waiting.done()
    await asyncio.to_thread(sandbox.advance, days=5)
    event = await waiting
    assert event["result"] == "released"
    assert outcomes(event) == ["delivered", "delivered"]
    assert all(delivered_at and last_update for _, _, delivered_at, last_update, *_ in event["outcomes"][0])
    requested = [call["query"]["numbers"] for call in sandbox.calls(path=LIST)]
    assert requested[0].count(",") == 1, "both"
    assert requested[1:] == [parcels[0]["tracking_number"]] * (len(requested) - 1), "only the open one"


@pytest.mark.parametrize(("size", "is_large"), [(cooperative.ITEMS_ON_THE_LOOP + 1, True), (3, False)])
async def test_the_long_work_of_a_large_wait_is_done_in_a_thread(
    seed: Seed, monkeypatch: pytest.MonkeyPatch, size: int, is_large: bool
) -> None:
    parcels = seed(*(f"delivered#{serial}" for serial in range(size)))
    threads: dict[str, set[int]] = {}
    work = ((spec, "check_tracking_number"), (Condition, "__init__"), (Condition, "decide"), (Condition, "verdict"))
    for owner, name in (*work, (Outcome, "to_row")):
        monkeypatch.setattr(owner, name, recording_the_thread(getattr(owner, name), threads.setdefault(name, set())))
    waiting = trigger(orders={f"order {serial}": [parcel] for serial, parcel in enumerate(parcels)})
    threads["check_tracking_number"].clear()
    event = await event_of(waiting)
    assert (event["result"], len(event["outcomes"])) == ("released", size)
    on_the_loop = threading.get_ident()
    assert {name: on_the_loop not in seen for name, seen in threads.items()} == dict.fromkeys(threads, is_large)
    assert all(threads.values())


def recording_the_thread(function: Callable[..., Any], threads: set[int]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        threads.add(threading.get_ident())
        return function(*args, **kwargs)

    return wrapper


async def test_failed_when_too_few_can_arrive(seed: Seed) -> None:
    event = await event_of(trigger(seed("delivered", "exception", "transit"), wait_for=3))
    assert event["result"] == "failed"
    assert event["reason"].startswith("usps SBX-EXCEPTION-1D-1: exception")
    assert outcomes(event) == ["delivered", "exception", "waiting"]


async def test_failed_when_one_is_not_registered(seed: Seed) -> None:
    event = await event_of(trigger([*seed("transit"), parcel("missing")]))
    assert event["result"] == "failed"
    assert "SBX-NEVER-1 is not registered with TrackingMore: run CreateTrackingsOperator first" in event["reason"]


async def test_timed_out_at_the_deadline_with_what_is_known(seed: Seed) -> None:
    event = await event_of(trigger(seed("transit", "delivered"), deadline=time.time() + 0.5))
    assert (event["result"], event["reason"]) == ("timed_out", "usps SBX-STUCK-1: transit")
    assert [row[:2] for row in event["outcomes"][0]] == [["timed_out", "transit"], ["delivered", "delivered"]]


@pytest.mark.parametrize(("state", "result"), [("transit", "timed_out"), ("delivered", "released")])
async def test_a_deadline_in_the_past_ends_the_wait_after_one_last_check(
    sandbox: SandboxProcess, seed: Seed, state: str, result: str
) -> None:
    """The triggerer was down at the deadline. A parcel that arrived long ago counts as arrived."""
    parcels = seed(state)
    sandbox.clear_ledger()
    event = await event_of(trigger(parcels, deadline=time.time() - 3600, poke_interval=60))
    assert event["result"] == result
    assert len(sandbox.calls()) == 1


async def test_a_wrong_key_is_an_event_with_a_hint(seed: Seed) -> None:
    event = await event_of(trigger(seed("transit"), trackingmore_conn_id="trackingmore_wrong_key"))
    assert event["result"] == "error"
    assert "check the API key in the password field of the Airflow connection" in event["reason"]


async def test_a_connection_that_does_not_exist_is_an_event(
    seed: Seed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "RETRY_SECONDS", (0.05, 0.05))
    event = await event_of(trigger(seed("transit"), trackingmore_conn_id="no_such_connection"))
    assert event["result"] == "error"
    assert "no_such_connection" in event["reason"]
    assert sum("Cannot read connection no_such_connection" in line for line in caplog.messages) == 2


async def test_a_connection_that_cannot_be_read_for_a_while_does_not_end_it(
    sandbox: SandboxProcess, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow reports a secrets backend that is down like a connection that does not exist."""
    monkeypatch.setattr(connections, "RETRY_SECONDS", (0.05,) * 40)
    wait = asyncio.create_task(event_of(trigger(seed("delivered"), trackingmore_conn_id="unavailable_for_a_while")))
    await asyncio.sleep(0.3)
    assert not wait.done()
    monkeypatch.setenv("AIRFLOW_CONN_UNAVAILABLE_FOR_A_WHILE", json.dumps(sandbox.connection))
    assert (await wait)["result"] == "released"


async def test_running_it_twice_gives_the_same_and_changes_nothing(sandbox: SandboxProcess, seed: Seed) -> None:
    waiting = trigger(seed("delivered", "transit"), wait_for="any")
    before = sandbox.trackings()
    assert await event_of(waiting) == await event_of(waiting)
    both = await asyncio.gather(event_of(waiting), event_of(waiting))
    assert both[0] == both[1]
    assert sandbox.trackings() == before
    assert {call["method"] for call in sandbox.calls()} == {"GET"}


async def test_many_triggers_of_one_account_share_their_calls(sandbox: SandboxProcess, seed: Seed) -> None:
    parcels = seed(*(f"delivered#{number}" for number in range(80)))
    sandbox.clear_ledger()
    events = await asyncio.gather(*(event_of(trigger([parcel], poke_interval=1.0)) for parcel in parcels))
    assert [outcomes(event) for event in events] == [["delivered"]] * 80
    assert len(sandbox.calls()) <= 2 * 2, "two calls of 40; four if the first check came before all had joined"


async def test_transient_failures_do_not_end_it(
    sandbox: SandboxProcess, seed: Seed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(failures, "FIRST_BACK_OFF", 0.02)
    parcels = seed("delivered", account=1)
    for kind in ("503", "429", "html", "truncated", "reset_after", "empty"):
        sandbox.fault(kind, path=LIST, account=1)
    event = await event_of(trigger(parcels, trackingmore_conn_id="trackingmore_once"))
    assert event["result"] == "released"
    assert sum(sandbox.ledger(1)["faults"].values()) == 6
    assert "Check of 1 shipments failed" in caplog.text
    assert f"(usps {parcels[0]['tracking_number']})" in caplog.text


@pytest.mark.parametrize("latency", [0, 300])
async def test_cancelling_it_cleans_up(sandbox: SandboxProcess, seed: Seed, latency: int) -> None:
    """With ``latency`` a call is under way when the wait ends."""
    parcels = seed("transit")
    if latency:
        sandbox.fault("latency", path=LIST, count=None, min_ms=latency, max_ms=latency)
    waiting = asyncio.create_task(event_of(trigger(parcels)))
    await eventually(lambda: sandbox.calls(path=LIST))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_closing_it_cleans_up(seed: Seed) -> None:
    """Airflow may drop the generator while it waits."""
    waiting = trigger(seed("transit")).run()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            await anext(waiting)
    await waiting.aclose()


async def test_the_event_loop_runs_while_a_page_of_forty_is_read(sandbox: SandboxProcess, seed: Seed) -> None:
    parcels = seed(*(f"delivered#{number}" for number in range(40)))
    sandbox.fault("latency", path=LIST, count=None, min_ms=500, max_ms=500)
    spent = 0.0
    ticks = 0

    async def tick() -> None:
        nonlocal spent, ticks
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.01)
            # The CPU time of this thread, which does not depend on other programs.
            spent = max(spent, time.thread_time() - before)
            ticks += 1

    ticking = asyncio.create_task(tick())
    event = await event_of(trigger(parcels))
    ticking.cancel()
    assert event["result"] == "released"
    assert ticks >= 10, "the call takes half a second"
    assert spent < 0.05


async def test_orders_are_kept_apart(seed: Seed) -> None:
    arrived, lost = seed("delivered", "exception")
    event = await event_of(trigger(None, orders={"A-1": [arrived], "A-2": [arrived, lost]}))
    assert event["result"] == "failed"
    assert event["reason"].startswith("order A-2: usps SBX-EXCEPTION-1D-1: exception")
    assert [[row[0] for row in order] for order in event["outcomes"]] == [["delivered"], ["delivered", "exception"]]


async def test_an_arrival_that_does_not_last_is_waited_for_again(sandbox: SandboxProcess) -> None:
    back_again = {"carrier_code": "usps", "tracking_number": "SBX-REOPEN-1D-1"}
    sandbox.seed(shipments=[back_again])
    sandbox.advance(days=1)
    waiting = asyncio.create_task(event_of(trigger([back_again], settle_seconds=1.0)))
    await eventually(lambda: len(sandbox.calls(path=LIST)) >= 2)
    await asyncio.to_thread(sandbox.advance, days=1)  # in transit again, before the second is over
    await asyncio.sleep(1.5)
    assert not waiting.done()
    await asyncio.to_thread(sandbox.advance, days=1)
    assert (await waiting)["result"] == "released"


async def test_a_shipment_without_news_for_days_is_stuck(sandbox: SandboxProcess, seed: Seed) -> None:
    silent = seed("transit")
    sandbox.advance(days=10)
    event = await event_of(trigger(silent, stuck_after=5 * 86_400))
    assert (event["result"], event["outcomes"][0][0][:2]) == ("failed", ["stuck", "transit"])


async def test_without_a_triggerer_no_task_ends_in_it(seed: Seed) -> None:
    """``dag.test()`` runs a trigger in the task's own process."""
    event = await event_of(trigger(seed("delivered"), end_in_triggerer=["released"]))
    assert event["result"] == "released"


async def test_nothing_to_wait_for_needs_no_connection() -> None:
    event = await event_of(trigger([], trackingmore_conn_id="no_such_connection"))
    assert (event["result"], event["outcomes"]) == ("released", [[]])


async def test_neither_key_nor_personal_data_leaves(
    seed: Seed, personal_data: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    waiting = trigger(seed("delivered", "exception", "transit"))
    event = await event_of(waiting)
    assert event["result"] == "failed"
    shown = json.dumps(event) + json.dumps(waiting.serialize()) + caplog.text + repr(waiting)
    assert "A-1001" in event["outcomes"][0][0]
    personal_data.remove("A-1001")
    for secret in (*KEYS, *personal_data):
        assert secret not in shown
