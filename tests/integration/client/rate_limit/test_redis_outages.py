"""Outages of a real Redis server: calls are still sent with little delay, and Redis is used again afterwards."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.rate_limit import redis as redis_store
from airflow_provider_trackingmore.client.rate_limit.clock import SlotState
from airflow_provider_trackingmore.client.rate_limit.redis import PREFIX
from airflow_provider_trackingmore.client.rate_limit.stores import open_store
from airflow_provider_trackingmore.client.settings import ClientSettings
from tests.integration.client.conftest import KEY
from tests.integration.client.fault_server import FaultServer
from tests.integration.client.redis_server import PASSWORD, RedisServer

pytestmark = pytest.mark.slow
REQUEST: Request[object] = Request(method="GET", path="/trackings/get", parse=lambda data: data)


class Outage(NamedTuple):
    begin: Callable[[RedisServer], object]
    end: Callable[[RedisServer], object]


def connection(server: RedisServer) -> Any:
    import redis

    return redis.Redis.from_url(server.url)


def change_password(server: RedisServer) -> None:
    client = connection(server)
    client.config_set("requirepass", "another")
    client.client_kill_filter(_type="normal", skipme=True)


def change_password_back(server: RedisServer) -> None:
    import redis

    redis.Redis(port=server.port, password="another").config_set("requirepass", PASSWORD)


OUTAGES = {
    "it is killed": Outage(RedisServer.kill, RedisServer.start),
    "it hangs": Outage(RedisServer.pause, RedisServer.resume),
    "its password changes": Outage(change_password, change_password_back),
    "it becomes a read-only replica": Outage(
        lambda server: connection(server).replicaof("127.0.0.1", "1"),
        lambda server: connection(server).replicaof("NO", "ONE"),
    ),
    "its connections are closed": Outage(
        lambda server: connection(server).client_kill_filter(_type="normal", skipme=True), lambda server: None
    ),
}


@pytest.fixture
def client(server: FaultServer, redis_server: RedisServer) -> Iterator[TrackingMoreClient]:
    settings = ClientSettings(api_key=KEY, base_url=server.url, requests_per_second=100, pacing=redis_server.url)
    with TrackingMoreClient(settings) as client:
        yield client


@pytest.mark.parametrize("how", ["send", "send_async"])
@pytest.mark.parametrize("outage", OUTAGES)
def test_a_call_is_sent_during_an_outage_and_redis_is_used_again_afterwards(
    outage: str,
    how: str,
    client: TrackingMoreClient,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(redis_store, "RETRY_SECONDS", 1.0)
    caplog.set_level(logging.INFO)
    begin, end = OUTAGES[outage]
    send = {"send": client.send, "send_async": lambda request: asyncio.run(client.send_async(request))}[how]
    assert send(REQUEST) == {"fine": True}

    begin(redis_server)
    began = time.monotonic()
    assert send(REQUEST) == {"fine": True}
    assert time.monotonic() - began < 10, "the file replaces Redis after about 1.5 s"
    assert ("is unavailable" in caplog.text) == (outage != "its connections are closed")

    end(redis_server)
    time.sleep(1.1)
    assert send(REQUEST) == {"fine": True}
    key = f"{PREFIX}{client.settings.fingerprint}"
    assert connection(redis_server).get(key)
    assert ("is back" in caplog.text) == ("is unavailable" in caplog.text)
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("outage", ["it is killed", "it hangs", "it becomes a read-only replica"])
def test_an_outage_between_reading_and_writing_is_not_mistaken_for_a_conflict(
    outage: str, redis_server: RedisServer
) -> None:
    """Retried fifty times as a conflict, one call would take 102 s."""
    store = open_store(redis_server.url, "account", interval=1)
    decided: list[float] = []

    def decide(state: SlotState, now: float) -> tuple[SlotState, str]:
        decided.append(now)
        if len(decided) == 1:
            OUTAGES[outage].begin(redis_server)
        return SlotState(now), "decided"

    began = time.monotonic()
    assert store.update(decide, time.time) == "decided"
    assert time.monotonic() - began < 20
    assert len(decided) == 2  # once for Redis, once for the file


def test_while_redis_hangs_only_one_call_per_host_waits_for_it(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_server.pause()

    def seconds(_: object = None) -> float:
        began = time.monotonic()
        open_store(redis_server.url, "account", interval=1).update(lambda state, now: (None, None), time.time)
        return time.monotonic() - began

    monkeypatch.setattr(redis_store, "RETRY_SECONDS", 2.0)
    assert seconds() > 0.9  # every store is new, as in a new process
    assert seconds() < 0.9
    time.sleep(2.1)  # until Redis is tried again
    with ThreadPoolExecutor(5) as threads:
        *others, slowest = sorted(threads.map(seconds, range(5)))
    assert slowest > 0.9
    assert max(others) < 0.9


def test_the_file_replaces_a_replica_that_is_read_only_from_the_start(
    server: FaultServer, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    connection(redis_server).replicaof("127.0.0.1", "1")
    settings = ClientSettings(api_key=KEY, base_url=server.url, requests_per_second=100, pacing=redis_server.url)
    with TrackingMoreClient(settings) as client:
        for _ in range(3):
            assert client.send(REQUEST) == {"fine": True}
    assert len(re.findall(r"is unavailable \((?:ReadOnly|Response)Error\)", caplog.text)) == 1  # Redis 7, and before
    assert connection(redis_server).keys() == []
