"""Many processes with one key, against the rate limit of the sandbox."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from redis import Redis

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.client.rate_limit.conftest import Processes
from tests.integration.client.redis_server import RedisServer

pytestmark = pytest.mark.slow

SCALE = 10.0
COOL_DOWN_SECONDS = 30.0
"""The cool-down of the clients on the sandbox's clock; the sandbox's own cool-down is ended before."""

SENDER = """
import sys
from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.settings import ClientSettings

number, url, key, rate, cool_down, pacing, times = sys.argv[1:]
settings = ClientSettings(
    api_key=key, base_url=url, requests_per_second=float(rate), cool_down_seconds=float(cool_down), pacing=pacing
)
with TrackingMoreClient(settings) as client:
    print("ready", flush=True)
    for serial in range(int(times)):
        shipment = {"tracking_number": f"SBX-STUCK-{number}-{serial}", "carrier_code": "usps"}
        client.send(endpoints.create_batch([shipment]))
        client.send(endpoints.list_page(limit=40))
"""


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    switches = {"rate_tolerance": 0.02}  # on two busy cores, single requests arrive a little early
    with SandboxProcess(time_scale=SCALE, switches=switches) as running:
        yield running


def start(processes: Processes, sandbox: SandboxProcess, pacing: str, count: int, times: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for number in range(count):
        settings: list[Any] = [
            number,
            sandbox.base_url,
            sandbox.api_key,
            SCALE,
            COOL_DOWN_SECONDS / SCALE,
            pacing,
            times,
        ]
        command = [sys.executable, "-c", SENDER, *map(str, settings)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"


def call_unlimited(sandbox: SandboxProcess) -> int:
    """Send a call with the same key, without any rate limit, and return the code."""
    headers = {"Trackingmore-Api-Key": sandbox.api_key}
    answer = requests.get(f"{sandbox.base_url}/carriers", headers=headers, timeout=10, proxies={"http": ""})
    return int(answer.json()["meta"]["code"])


def test_eight_processes_that_register_and_poll_get_no_429(sandbox: SandboxProcess, processes: Processes) -> None:
    start(processes, sandbox, "file", 8, 6)
    for process in processes:
        assert process.wait(timeout=120) == 0
    ledger = sandbox.ledger()
    assert ledger["rate_limited"] == 0
    assert ledger["by_endpoint"] == {"POST /trackings/batch": 48, "GET /trackings/get": 48}
    assert len(ledger["created"]) == 48


def test_after_a_429_from_outside_no_process_sends_until_the_cool_down_is_over(
    sandbox: SandboxProcess, processes: Processes
) -> None:
    start(processes, sandbox, "file", 8, 5)
    while sandbox.ledger()["requests"] < 8:
        time.sleep(0.05)
    codes = [call_unlimited(sandbox) for _ in range(3)]
    assert 429 in codes  # three in a row exceed the limit, so the account cools down for all
    while not [call for call in sandbox.calls(path="/trackings/*") if call["code"] == 429]:
        time.sleep(0.02)
    time.sleep(0.3)  # until the requests on their way have arrived
    sandbox.change_account(cool_down=False)  # the server would serve again: the processes cool down by themselves
    for process in processes:
        assert process.wait(timeout=120) == 0
    calls = sandbox.calls(path="/trackings/*")
    (first,) = [call for call in calls if call["code"] == 429]
    later = [call["clock_unix"] for call in calls if call["serial"] > first["serial"]]
    assert min(later) - first["clock_unix"] >= COOL_DOWN_SECONDS
    assert len(sandbox.ledger()["created"]) == 40  # no shipment was lost
    assert smallest_gap(later) > 1.0  # no burst when the cool-down is over


def smallest_gap(times: list[float]) -> float:
    return min(after - before for before, after in itertools.pairwise(sorted(times)))


def test_processes_survive_a_redis_that_is_killed_midway(
    sandbox: SandboxProcess, processes: Processes, redis_server: RedisServer
) -> None:
    start(processes, sandbox, redis_server.url, 4, 14)
    while sandbox.ledger()["requests"] < 15:
        time.sleep(0.05)
    redis_server.kill()
    while sandbox.ledger()["requests"] < 25:
        time.sleep(0.05)
    restart = threading.Timer(0.1, redis_server.start)
    restart.start()
    for process in processes:
        assert process.wait(timeout=120) == 0
    restart.join()
    assert Redis.from_url(redis_server.url).keys(), "it was empty after its start"
    ledger = sandbox.ledger()
    assert ledger["rate_limited"] == 0
    assert len(ledger["created"]) == 56
    logs = [process.stderr.read() for process in processes if process.stderr]
    assert all(text.count("is unavailable") == 1 for text in logs), logs
