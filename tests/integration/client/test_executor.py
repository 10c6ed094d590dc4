"""The threads of ``send_async``: an account that hangs delays neither other accounts nor the exit of the process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import ConnectError, TrackingMoreError
from airflow_provider_trackingmore.client import executor
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.executor import MAX_THREADS
from airflow_provider_trackingmore.client.rate_limit import clock as rate_limit_clock
from airflow_provider_trackingmore.client.settings import ClientSettings
from tests.integration.client.conftest import KEY
from tests.integration.client.fault_server import Exchange, FaultServer, answer

REQUEST: Request[object] = Request(method="GET", path="/trackings/get", parse=lambda data: data)

MakeAccount = Callable[..., TrackingMoreClient]


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let calls depart although earlier ones are unanswered; their grace is tested elsewhere."""
    monkeypatch.setattr(rate_limit_clock, "COLD_GRACE_SECONDS", 0.01)


@pytest.fixture
def make_account() -> Iterator[MakeAccount]:
    """Make clients that wait in real time, each with its own account."""
    with ExitStack() as stack:
        count = 0

        def make(server: FaultServer, **settings: object) -> TrackingMoreClient:
            nonlocal count
            count += 1
            values = {"pacing": "memory", "max_attempts": 1, "timeout_seconds": 20, "requests_per_second": 1000}
            values |= {"api_key": f"{KEY}-{count}", "base_url": server.url, **settings}
            return stack.enter_context(TrackingMoreClient(ClientSettings(**values)))  # type: ignore[arg-type]

        yield make


@pytest.fixture
def hung() -> Iterator[FaultServer]:
    """A server that reads every request and answers none."""
    server = FaultServer()
    server.does(says_nothing)
    yield server
    server.close()


def says_nothing(exchange: Exchange) -> None:
    exchange.read_request()
    exchange.server.stopping.wait(20)


def threads_of(client: TrackingMoreClient) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if client.settings.fingerprint in thread.name]


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def cancel(*calls: asyncio.Task[object]) -> None:
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_accounts_that_hang_do_not_hold_up_a_healthy_one(
    server: FaultServer, hung: FaultServer, make_account: MakeAccount
) -> None:
    stuck = [asyncio.create_task(make_account(hung).send_async(REQUEST)) for _ in range(8)]
    await asyncio.sleep(0.5)
    began = time.monotonic()
    assert await make_account(server).send_async(REQUEST) == {"fine": True}
    assert time.monotonic() - began < 10, "the others hang for 20 s"
    await until(lambda: len(hung.requests) == 8)
    await cancel(*stuck)


async def test_calls_of_one_account_beyond_its_threads_wait_for_one(
    server: FaultServer, hung: FaultServer, make_account: MakeAccount
) -> None:
    client = make_account(hung, timeout_seconds=0.5)
    calls = [asyncio.create_task(client.send_async(REQUEST)) for _ in range(2 * MAX_THREADS)]
    await until(lambda: len(hung.requests) == MAX_THREADS)
    assert len(threads_of(client)) == MAX_THREADS
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, TrackingMoreError) for outcome in outcomes)
    assert len(hung.requests) == 2 * MAX_THREADS


async def test_cancelled_calls_keep_their_threads_and_a_call_waits_for_one_no_longer_than_it_may(
    hung: FaultServer, make_account: MakeAccount
) -> None:
    client = make_account(hung)
    calls = [asyncio.create_task(client.send_async(REQUEST)) for _ in range(MAX_THREADS)]
    await until(lambda: len(hung.requests) == MAX_THREADS)
    await cancel(*calls)
    began = time.monotonic()
    with pytest.raises(ConnectError, match=r"GET /trackings/get: not sent.*earlier requests"):
        await client.send_async(REQUEST, max_wait_seconds=0.3)
    assert 0.2 < time.monotonic() - began < 10, "the others hang for 20 s"
    assert len(hung.requests) == client.statistics.requests == MAX_THREADS
    assert len(threads_of(client)) == MAX_THREADS


async def test_a_call_that_is_cancelled_before_it_had_a_thread_is_never_sent(
    server: FaultServer, make_account: MakeAccount
) -> None:
    may_answer = threading.Event()

    def answers_when_allowed(exchange: Exchange) -> bool | None:
        may_answer.wait(10)
        return answer()(exchange)

    server.does(answers_when_allowed)
    client = make_account(server)
    calls = [asyncio.create_task(client.send_async(REQUEST)) for _ in range(MAX_THREADS)]
    await until(lambda: client.statistics.requests == MAX_THREADS)
    queued = asyncio.create_task(client.send_async(REQUEST))
    await asyncio.sleep(0.05)
    await cancel(queued)
    may_answer.set()
    assert await asyncio.gather(*calls, client.send_async(REQUEST)) == [{"fine": True}] * (MAX_THREADS + 1)
    assert len(server.requests) == MAX_THREADS + 1


async def test_an_account_without_calls_keeps_no_thread(
    server: FaultServer, make_account: MakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "IDLE_SECONDS", 0.1)
    client = make_account(server)
    assert threads_of(client) == []
    await client.send_async(REQUEST)
    await until(lambda: not threads_of(client))
    assert await client.send_async(REQUEST) == {"fine": True}


async def test_calls_one_after_the_other_share_a_thread(server: FaultServer, make_account: MakeAccount) -> None:
    client = make_account(server)
    await client.send_async(REQUEST)
    (thread,) = threads_of(client)
    for _ in range(20):
        await client.send_async(REQUEST)
    assert threads_of(client) == [thread]


async def test_closing_a_client_ends_its_threads_and_it_can_be_used_again(
    server: FaultServer, make_account: MakeAccount
) -> None:
    client = make_account(server)
    await client.send_async(REQUEST)
    assert len(threads_of(client)) == 1
    client.close()
    await until(lambda: not threads_of(client), 2)
    assert await client.send_async(REQUEST) == {"fine": True}


def test_every_event_loop_may_use_the_same_client(server: FaultServer, make_account: MakeAccount) -> None:
    client = make_account(server)

    async def calls() -> list[object]:
        return await asyncio.gather(*[client.send_async(REQUEST) for _ in range(10)])

    results: list[list[object]] = []
    loops = [threading.Thread(target=lambda: results.append(asyncio.run(calls()))) for _ in range(3)]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join(20)
    assert results == [[{"fine": True}] * 10] * 3
    assert len(threads_of(client)) <= MAX_THREADS


async def test_a_client_works_in_a_process_that_was_forked_while_its_threads_were_busy(
    server: FaultServer, make_account: MakeAccount
) -> None:
    server.does(says_nothing, answer())
    client = make_account(server)
    stuck = asyncio.create_task(client.send_async(REQUEST))
    await until(lambda: server.requests)
    child = os.fork()
    if not child:
        asyncio._set_running_loop(None)
        fine = asyncio.run(client.send_async(REQUEST)) == {"fine": True}
        os._exit(0 if fine else 1)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert status == 0
    await cancel(stuck)


SCRIPT = """
import asyncio
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.settings import ClientSettings

client = TrackingMoreClient(ClientSettings(api_key="a-key", base_url={url!r}, pacing="memory", timeout_seconds=20))
request = Request(method="GET", path="/trackings/get", parse=lambda data: data)
try:
    asyncio.run(asyncio.wait_for(client.send_async(request), 0.3))
except TimeoutError:
    print("given up")
"""


def test_a_call_that_hangs_does_not_hold_up_the_end_of_the_process(hung: FaultServer) -> None:
    began = time.monotonic()
    script = [sys.executable, "-c", SCRIPT.format(url=hung.url)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "given up\n", "")
    assert len(hung.requests) == 1
    assert time.monotonic() - began < 10
