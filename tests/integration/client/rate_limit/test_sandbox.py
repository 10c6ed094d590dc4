"""Many processes with one key against the sandbox's rate limit, and what its ledger says of them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.client.redis_server import RedisServer, find_binary

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

Processes = list["subprocess.Popen[str]"]


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    switches = {"rate_tolerance": 0.02}  # two busy cores bring single requests early by more than a real clock would
    with SandboxProcess(time_scale=SCALE, switches=switches) as running:
        yield running


@pytest.fixture
def processes() -> Iterator[Processes]:
    started: Processes = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


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


def outsider(sandbox: SandboxProcess) -> int:
    """Another program with the same key, which knows nothing of any pace."""
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
    codes = [outsider(sandbox) for _ in range(3)]
    assert 429 in codes  # three in a row are above any pace: the account cools down for everybody
    while not [call for call in sandbox.calls(path="/trackings/*") if call["code"] == 429]:
        time.sleep(0.02)
    time.sleep(0.3)  # what was on its way has arrived
    sandbox.change_account(
        cool_down=False
    )  # the server would serve again: whoever cools down does so of their own accord
    for process in processes:
        assert process.wait(timeout=120) == 0
    calls = sandbox.calls(path="/trackings/*")
    (first,) = [call for call in calls if call["code"] == 429]
    later = [call["clock_unix"] for call in calls if call["serial"] > first["serial"]]
    assert min(later) - first["clock_unix"] >= COOL_DOWN_SECONDS
    assert len(sandbox.ledger()["created"]) == 40  # nothing was lost
    assert smallest_gap(later) > 1.0  # and nobody rushes when it is over


def smallest_gap(moments: list[float]) -> float:
    return min(after - before for before, after in itertools.pairwise(sorted(moments)))


@pytest.mark.skipif(find_binary() is None, reason="no Redis server on this machine")
def test_processes_survive_a_redis_that_is_killed_midway(
    sandbox: SandboxProcess, processes: Processes, tmp_path: Path
) -> None:
    redis = RedisServer(str(find_binary()), tmp_path)
    redis.start()
    try:
        start(processes, sandbox, redis.url, 4, 14)
        while sandbox.ledger()["requests"] < 15:
            time.sleep(0.05)
        redis.kill()
        while sandbox.ledger()["requests"] < 25:
            time.sleep(0.05)
        again = threading.Timer(0.1, redis.start)
        again.start()
        for process in processes:
            assert process.wait(timeout=120) == 0
        again.join()
        assert Redis.from_url(redis.url).keys()  # it began empty and was used again
    finally:
        redis.kill()
    ledger = sandbox.ledger()
    assert ledger["rate_limited"] == 0
    assert len(ledger["created"]) == 56
    said = [process.stderr.read() for process in processes if process.stderr]
    assert all(text.count("is unavailable") == 1 for text in said), said
