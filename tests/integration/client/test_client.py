"""The whole client over a real socket: rate limit, cool-down, budgets, cancelling, threads and loops."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import itertools
import logging
import os
import re
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import MalformedResponseError, RateLimitError, TrackingMoreError
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.retry_policies import TRACKINGMORE_RETRY_POLICY
from tests.integration.client.conftest import KEY, FakeTime
from tests.integration.client.fault_server import Exchange, FaultServer, answer, envelope

MakeClient = Callable[..., TrackingMoreClient]

REQUEST: Request[object] = Request(method="GET", path="/trackings/get", query={"page": "1"}, parse=lambda data: data)
REALTIME: Request[object] = Request(
    method="POST", path="/trackings/realtime", body={"a": 1}, parse=lambda data: data, realtime=True
)


def test_requests_of_one_client_keep_the_rate_limit(
    server: FaultServer, make_client: MakeClient, fake_time: FakeTime
) -> None:
    client = make_client(server.url)
    for _ in range(5):
        client.send(REQUEST)
    assert len(server.requests) == 5
    assert len(fake_time.slept) == 4
    assert all(1.0 < slept <= 1.01 for slept in fake_time.slept)
    assert client.statistics.requests == 5
    assert client.statistics.slot_wait_seconds == pytest.approx(sum(fake_time.slept))


def test_two_clients_of_one_account_share_the_rate_limit(
    server: FaultServer, make_client: MakeClient, fake_time: FakeTime
) -> None:
    make_client(server.url).send(REQUEST)
    make_client(server.url).send(REQUEST)
    make_client(server.url, api_key=KEY[::-1]).send(REQUEST)
    assert len(fake_time.slept) == 1


def test_a_429_starts_a_cool_down_for_all_clients_of_the_account(
    server: FaultServer, make_client: MakeClient, fake_time: FakeTime
) -> None:
    server.does(answer(envelope(429)), answer())
    with pytest.raises(RateLimitError):
        make_client(server.url, max_attempts=1).send(REQUEST)
    assert fake_time.slept == []
    make_client(server.url).send(REQUEST)
    assert 120 < sum(fake_time.slept) < 120.1


def test_a_call_waits_after_a_429_and_succeeds(
    server: FaultServer, make_client: MakeClient, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.does(answer(envelope(429)), answer())
    client = make_client(server.url, cool_down_seconds=30)
    assert client.send(REQUEST) == {"fine": True}
    assert sum(fake_time.slept) == pytest.approx(30, abs=0.1)
    assert (client.statistics.rate_limited, client.statistics.retries, client.statistics.requests) == (1, 1, 2)
    assert "Retrying in 30.0 s (attempt 2 of 3)" in caplog.text


def test_realtime_calls_share_the_rate_limit_unless_they_have_their_own(
    server: FaultServer, make_client: MakeClient, fake_time: FakeTime
) -> None:
    shared = make_client(server.url)
    shared.send(REQUEST)
    shared.send(REALTIME)
    assert len(fake_time.slept) == 1
    own = make_client(server.url, api_key=KEY[::-1], realtime_requests_per_second=3)
    own.send(REQUEST)
    own.send(REALTIME)
    assert len(fake_time.slept) == 1
    own.send(REALTIME)
    assert fake_time.slept[1:] == [pytest.approx(1 / 3, abs=0.01)]


def test_a_429_for_a_realtime_call_starts_a_cool_down_for_the_other_calls_too(
    server: FaultServer, make_client: MakeClient, fake_time: FakeTime
) -> None:
    server.does(answer(envelope(429)), answer())
    client = make_client(server.url, realtime_requests_per_second=3, max_attempts=1)
    with pytest.raises(RateLimitError):
        client.send(REALTIME)
    client.send(REQUEST)
    assert sum(fake_time.slept) > 120


def test_a_slot_beyond_the_budget_is_not_waited_for(
    server: FaultServer, make_client: MakeClient, fake_time: FakeTime
) -> None:
    server.does(answer(envelope(429)), answer())
    client = make_client(server.url)
    with pytest.raises(RateLimitError, match="429"):
        client.send(REQUEST, max_wait_seconds=60)
    with pytest.raises(RateLimitError, match=r"not sent\. .* in 120\.0 s") as caught:
        client.send(REQUEST, max_wait_seconds=60)
    assert caught.value.retry_after == pytest.approx(120, abs=0.1)
    with pytest.raises(RateLimitError, match="not sent"):
        asyncio.run(client.send_async(REQUEST, max_wait_seconds=0))
    assert fake_time.slept == []
    assert len(server.requests) == 1


def test_a_budget_that_is_long_enough_changes_nothing(server: FaultServer, make_client: MakeClient) -> None:
    server.does(answer(envelope(429)), answer())
    assert make_client(server.url).send(REQUEST, max_wait_seconds=121) == {"fine": True}


@pytest.mark.parametrize(
    ("cool_down", "headers", "seconds"),
    [(300, {}, 300), (300, {"Retry-After": "7"}, 300), (300, {"Retry-After": "400"}, 400), (5, {}, 5)],
)
def test_the_retry_policy_waits_for_the_cool_down_of_the_connection(
    cool_down: int, headers: dict[str, str], seconds: int, server: FaultServer, make_client: MakeClient
) -> None:
    server.does(answer(envelope(429), headers=headers))
    with pytest.raises(RateLimitError) as caught:
        make_client(server.url, max_attempts=1, cool_down_seconds=cool_down).send(REQUEST)
    assert caught.value.retry_after == seconds
    if TRACKINGMORE_RETRY_POLICY is not None:
        decision = TRACKINGMORE_RETRY_POLICY.evaluate(caught.value, 1, 3)
        assert decision.retry_delay == timedelta(seconds=seconds)


def test_a_long_wait_for_a_slot_is_explained_in_the_log(
    server: FaultServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.does(answer(envelope(429)), answer())
    with pytest.raises(RateLimitError):
        make_client(server.url, max_attempts=1).send(REQUEST)
    make_client(server.url).send(REQUEST)
    assert "GET /trackings/get: waiting 120 s for the rate limit of account " in caplog.text


def test_a_key_that_the_server_echoes_is_redacted(server: FaultServer, make_client: MakeClient) -> None:
    server.does(answer(envelope(data={"echo": KEY})))
    assert make_client(server.url).send(REQUEST) == {"echo": "***"}


def test_a_short_key_of_a_sandbox_changes_no_result(server: FaultServer, make_client: MakeClient) -> None:
    server.does(answer(envelope(data={"title": "demo order"})))
    assert make_client(server.url, api_key="demo").send(REQUEST) == {"title": "demo order"}


def test_the_repr_of_a_client_has_its_account_and_not_its_key(make_client: MakeClient) -> None:
    client = make_client("http://127.0.0.1:1/v2")
    assert repr(client) == f"<TrackingMoreClient http://127.0.0.1:1/v2 account {client.settings.fingerprint}>"


async def test_send_async_does_not_block_the_loop_while_it_waits_for_the_response(
    server: FaultServer, make_client: MakeClient
) -> None:
    received, others_ran = threading.Event(), threading.Event()

    def answers_when_others_ran(exchange: Exchange) -> bool | None:
        received.set()
        return answer()(exchange) if others_ran.wait(10) else None

    server.does(answers_when_others_ran)
    call = asyncio.create_task(make_client(server.url).send_async(REQUEST))
    assert await asyncio.to_thread(received.wait, 10)
    others_ran.set()
    assert await call == {"fine": True}


async def test_a_cancelled_send_async_leaves_the_rate_limit_in_order(
    server: FaultServer, make_client: MakeClient, fake_time: FakeTime
) -> None:
    received, may_answer = threading.Event(), threading.Event()

    def answers_late(exchange: Exchange) -> bool:
        exchange.read_request()
        received.set()
        may_answer.wait(10)
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        return True

    server.does(answers_late, answer())
    client = make_client(server.url)
    call = asyncio.create_task(client.send_async(REQUEST))
    assert await asyncio.to_thread(received.wait, 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    may_answer.set()
    await client.send_async(REQUEST)
    assert len(server.requests) == 2
    assert 1.0 < sum(fake_time.slept) <= 2.6  # one interval after the response, or the grace if it came later


async def test_a_cancelled_wait_for_a_slot_sends_nothing_and_holds_nothing(
    server: FaultServer, make_client: MakeClient, fake_time: FakeTime
) -> None:
    waiting = asyncio.Event()

    async def sleeps_for_ever(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    client = make_client(server.url)
    await client.send_async(REQUEST)
    settings = client.settings
    with TrackingMoreClient(settings, clock=fake_time, async_sleep=sleeps_for_ever) as stuck:
        call = asyncio.create_task(stuck.send_async(REQUEST))
        await waiting.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    await client.send_async(REQUEST)
    assert len(server.requests) == 2
    assert sum(fake_time.slept) <= 1.01


def test_threads_and_loops_may_share_a_client(server: FaultServer) -> None:
    settings = ClientSettings(api_key=KEY, base_url=server.url, requests_per_second=200, pacing="memory")
    with TrackingMoreClient(settings) as client, concurrent.futures.ThreadPoolExecutor(8) as threads:

        async def gather() -> list[object]:
            return await asyncio.gather(*[client.send_async(REQUEST) for _ in range(10)])

        loops = [threads.submit(asyncio.run, gather()) for _ in range(2)]
        calls = [threads.submit(client.send, REQUEST) for _ in range(20)]
        results = [call.result() for call in calls] + [result for loop in loops for result in loop.result()]
        assert results == [{"fine": True}] * 40
    assert len(server.requests) == 40
    gaps = [after - before for before, after in itertools.pairwise(sorted(server.arrivals))]
    assert min(gaps) >= 1 / 200 - 0.001


def test_a_closed_client_leaves_no_connection_open(server: FaultServer) -> None:
    server.does(answer(b"{", length=10), answer(), answer(b"", status=302), answer())
    settings = ClientSettings(
        api_key=KEY, base_url=server.url, requests_per_second=1000, pacing="memory", max_attempts=1
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        with TrackingMoreClient(settings) as client:
            with pytest.raises(MalformedResponseError):
                client.send(REQUEST)
            client.send(REQUEST)
            with pytest.raises(TrackingMoreError):
                client.send(REQUEST)
            client.send(REQUEST)
        for thread in server.threads_of_connections():  # each ends when its connection does
            thread.join(5)
            assert not thread.is_alive()
        gc.collect()
    assert server.connections == 3
    assert [str(warning.message) for warning in caught if warning.category is ResourceWarning] == []


def test_a_closed_client_keeps_no_connection_and_can_be_used_again(
    server: FaultServer, make_client: MakeClient
) -> None:
    client = make_client(server.url)
    client.send(REQUEST)
    client.close()
    client.send(REQUEST)
    client.send(REQUEST)
    assert server.connections == 3


def test_the_files_of_the_rate_limit_do_not_contain_the_key(server: FaultServer, make_client: MakeClient) -> None:
    make_client(server.url).send(REQUEST)
    files = sorted(Path(os.environ["TRACKINGMORE_PACING_DIR"]).iterdir())
    assert len(files) == 2
    for file, name in zip(files, (r"[0-9a-f]{16}-usage\.json", r"[0-9a-f]{16}\.json"), strict=True):
        assert re.fullmatch(name, file.name)
        assert KEY not in file.read_text()


def test_importing_the_client_loads_no_airflow() -> None:
    code = (
        "import sys, airflow_provider_trackingmore.client.client\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('airflow', 'fastapi', 'redis', 'rich')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_settings_loads_no_http() -> None:
    code = (
        "import sys, airflow_provider_trackingmore.client.settings\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('requests', 'urllib3', 'tenacity')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_real_time_passes_between_real_requests(server: FaultServer) -> None:
    settings = ClientSettings(api_key=KEY, base_url=server.url, requests_per_second=20)
    began = time.monotonic()
    with TrackingMoreClient(settings) as client:
        for _ in range(4):
            client.send(REQUEST)
    assert server.arrivals[-1] - began >= 3 / 20
