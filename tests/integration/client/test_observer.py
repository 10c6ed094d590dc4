"""An observer is notified of each request, retry, 429, wait and exchange, with the blocking and the async client."""

from __future__ import annotations

import asyncio
import concurrent.futures

import pytest

from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import ConnectError
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.observer import Counter, Gauge, Observer, Timing
from airflow_provider_trackingmore.client.settings import ClientSettings
from tests.integration.client.conftest import KEY, FakeTime
from tests.integration.client.fault_server import FaultServer, answer, envelope

REQUEST: Request[object] = Request(method="GET", path="/trackings/get", query={"page": "1"}, parse=lambda data: data)


class Recorder(Observer):
    """Records all notifications."""

    def __init__(self) -> None:
        self.notified: list[tuple[str, float]] = []

    def count(self, name: Counter, number: int = 1) -> None:
        self.notified.append((name, number))

    def timing(self, name: Timing, seconds: float) -> None:
        self.notified.append((name, seconds))

    def gauge(self, name: Gauge, value: float) -> None:
        self.notified.append((name, value))

    def of(self, name: str) -> list[float]:
        return [value for notified, value in self.notified if notified == name]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def client(server: FaultServer, fake_time: FakeTime, recorder: Recorder) -> TrackingMoreClient:
    return TrackingMoreClient(
        ClientSettings(api_key=KEY, base_url=server.url, max_attempts=3),
        clock=fake_time,
        sleep=fake_time.sleep,
        async_sleep=fake_time.async_sleep,
        observer=recorder,
    )


@pytest.mark.parametrize("mode", ["threads", "event loop"])
def test_a_429_is_observed_with_its_retry_and_the_wait_before_it(
    server: FaultServer, client: TrackingMoreClient, recorder: Recorder, mode: str
) -> None:
    server.does(answer(envelope(429)), answer())
    with client:
        if mode == "threads":
            client.send(REQUEST)
        else:
            asyncio.run(client.send_async(REQUEST))
    assert recorder.of("requests") == [1, 1]
    assert recorder.of("retries") == [1]
    assert recorder.of("rate_limited") == [1]
    assert len(recorder.of("exchange")) == 2
    assert recorder.of("slot_wait")[0] == 0.0


def test_the_wait_for_a_slot_is_observed_once_per_request_as_a_total(
    client: TrackingMoreClient, recorder: Recorder, fake_time: FakeTime
) -> None:
    with client:
        for _ in range(3):
            client.send(REQUEST)
    assert len(recorder.of("slot_wait")) == 3
    assert sum(recorder.of("slot_wait")) == pytest.approx(sum(fake_time.slept))


def test_an_exchange_without_a_response_is_timed_too(
    server: FaultServer, client: TrackingMoreClient, recorder: Recorder
) -> None:
    server.close()
    with client, pytest.raises(ConnectError):
        client.send(REQUEST)
    assert len(recorder.of("exchange")) == len(recorder.of("requests")) == 3


def test_an_observer_and_the_statistics_agree(server: FaultServer, recorder: Recorder) -> None:
    settings = ClientSettings(api_key=KEY, base_url=server.url, requests_per_second=1000, pacing="memory")
    with TrackingMoreClient(settings, observer=recorder) as client, concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: client.send(REQUEST), range(20)))
    assert len(recorder.of("requests")) == client.statistics.requests == 20
    assert sum(recorder.of("slot_wait")) == pytest.approx(client.statistics.slot_wait_seconds)
