"""The slot clock in a real Redis server: shared by hosts whose clocks differ, also when Redis comes and goes."""

from __future__ import annotations

import builtins
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.client.rate_limit import redis as redis_store
from airflow_provider_trackingmore.client.rate_limit.clock import Departure, RateLimiter, SlotBusy
from airflow_provider_trackingmore.client.rate_limit.redis import EXPIRY_SECONDS, PREFIX, RedisStore
from airflow_provider_trackingmore.client.rate_limit.stores import DIRECTORY_VARIABLE, FileStore, open_store
from airflow_provider_trackingmore.client.settings import ClientSettings
from tests.integration.client.conftest import KEY, FakeTime
from tests.integration.client.redis_server import PASSWORD, RedisServer

HANDOVER = 2.5


class Host:
    """A host with its own clock and its own files."""

    def __init__(self, server: RedisServer, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.file = FileStore("account", directory)
        self.outage = FileStore("account-outage", directory)
        self.server = server

    def process(self) -> RedisStore:
        return RedisStore(self.server.url, "account", file=self.file, outage=self.outage, handover_seconds=HANDOVER)

    def limiter(self) -> RateLimiter:
        return RateLimiter(self.process(), interval=1.0, clock=self.clock)


def client_of(server: RedisServer) -> Any:
    import redis

    return redis.Redis.from_url(server.url)


def seconds_until_free(outcome: Departure | SlotBusy) -> float:
    assert isinstance(outcome, SlotBusy)
    return outcome.seconds


def test_updates_by_threads_and_hosts_are_atomic(redis_server: RedisServer, tmp_path: Path) -> None:
    hosts = [Host(redis_server, tmp_path / str(number)) for number in range(4)]

    def count(host: Host) -> None:
        store = host.process()
        for _ in range(50):
            store.update(lambda state, now: (replace(state, margin=state.margin + 1), None), host.clock)

    threads = [threading.Thread(target=count, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hosts[0].process().update(lambda state, now: (None, state.margin), time.time) == 200


def test_hosts_whose_clocks_differ_by_hours_share_one_rate_limit(redis_server: RedisServer, tmp_path: Path) -> None:
    early = Host(redis_server, tmp_path / "early", lambda: time.time() - 7200).limiter()
    late = Host(redis_server, tmp_path / "late", lambda: time.time() + 7200).limiter()
    departure = early.try_acquire(warm=True)
    assert isinstance(departure, Departure)
    assert 0.5 < seconds_until_free(late.try_acquire(warm=True)) <= 1.0
    early.release(departure)
    assert 0.5 < seconds_until_free(late.try_acquire(warm=True)) <= 1.0
    late.penalize(120)
    assert 119 < seconds_until_free(early.try_acquire(warm=True)) <= 120


def test_the_state_is_stored_by_fingerprint_and_expires_after_a_day(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "pacing"))
    settings = ClientSettings(api_key=KEY, pacing=redis_server.url)
    store = open_store(settings.pacing, settings.fingerprint, interval=1)
    RateLimiter(store, interval=1, clock=time.time).try_acquire(warm=True)
    client = client_of(redis_server)
    assert client.keys() == [f"{PREFIX}{settings.fingerprint}".encode()]
    assert EXPIRY_SECONDS - 5 <= client.ttl(client.keys()[0]) <= EXPIRY_SECONDS
    assert KEY.encode() not in client.get(client.keys()[0])


def test_a_damaged_record_is_a_new_state(redis_server: RedisServer, tmp_path: Path) -> None:
    client_of(redis_server).set(f"{PREFIX}account", b"\xff{not json")
    assert isinstance(Host(redis_server, tmp_path).limiter().try_acquire(warm=True), Departure)


def test_the_file_replaces_redis_during_an_outage_with_one_warning(
    redis_server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fake_time = FakeTime()
    host = Host(redis_server, tmp_path / "host", fake_time)
    one, other = host.limiter(), host.limiter()
    assert isinstance(one.try_acquire(warm=True), Departure)
    redis_server.kill()

    # A request that departed by Redis may still be on its way: the next one waits until it must have arrived.
    assert seconds_until_free(one.try_acquire(warm=True)) == pytest.approx(HANDOVER)
    assert seconds_until_free(other.try_acquire(warm=True)) == pytest.approx(HANDOVER)
    fake_time.now += HANDOVER
    assert isinstance(one.try_acquire(warm=True), Departure)
    assert seconds_until_free(other.try_acquire(warm=True)) == pytest.approx(1.0)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2  # one for each process, since each has its own log
    assert all(f"redis://127.0.0.1:{redis_server.port}/0 is unavailable" in warning for warning in warnings)

    redis_server.start()
    fake_time.now += redis_store.RETRY_SECONDS - HANDOVER - 0.5
    other.try_acquire(warm=True)
    assert client_of(redis_server).keys() == []  # Redis is not tried again yet
    fake_time.now += 0.5
    assert HANDOVER - 1 < seconds_until_free(one.try_acquire(warm=True)) <= HANDOVER
    assert HANDOVER - 1 < seconds_until_free(other.try_acquire(warm=True)) <= HANDOVER
    assert len(client_of(redis_server).keys()) == 1
    assert [record.levelno for record in caplog.records].count(logging.WARNING) == 2
    assert "is back" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_cool_down_survives_the_switch_in_both_directions(redis_server: RedisServer, tmp_path: Path) -> None:
    fake_time = FakeTime()
    host = Host(redis_server, tmp_path / "host", fake_time)
    host.limiter().penalize(120)
    redis_server.kill()
    assert seconds_until_free(host.limiter().try_acquire(warm=True)) == pytest.approx(120, abs=1)
    host.limiter().penalize(300)
    redis_server.start()
    fake_time.now += 10
    assert seconds_until_free(host.limiter().try_acquire(warm=True)) == pytest.approx(290, abs=1)
    elsewhere = Host(redis_server, tmp_path / "elsewhere").limiter()
    assert seconds_until_free(elsewhere.try_acquire(warm=True)) == pytest.approx(290, abs=1)


def test_the_file_replaces_a_redis_that_refuses_the_password(
    redis_server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(redis_server, tmp_path / "host")
    redis_server.url = redis_server.url.replace(PASSWORD, "wr0ng-password")
    store = host.process()
    assert store.update(lambda state, now: (None, "decided"), time.time) == "decided"
    assert "AuthenticationError" in caplog.text
    assert "wr0ng-password" not in caplog.text + repr(store)


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_redis(name: str, *arguments: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "redis":
            raise ModuleNotFoundError(name=name)
        return real_import(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without_redis)
    with pytest.raises(InvalidSettingsError, match=r"pip install 'airflow-provider-trackingmore\[redis\]'"):
        open_store("redis://127.0.0.1", "account", interval=1)


def test_an_option_that_redis_does_not_know_is_an_error_that_shows_no_password() -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        open_store(f"redis://:{PASSWORD}@127.0.0.1/0?socket_timeout=soon", "account", interval=1)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__context__ is None


def test_callers_on_several_hosts_keep_the_interval(redis_server: RedisServer, tmp_path: Path) -> None:
    """In real time, at twenty requests a second; each host's thread records its departures."""
    interval, departures = 0.05, []

    def send(number: int) -> None:
        skew = 1000.0 * number
        host = Host(redis_server, tmp_path / str(number), lambda: time.time() + skew)
        limiter = RateLimiter(host.process(), interval=interval, clock=host.clock)
        for _ in range(10):
            rounds = 0
            while isinstance(outcome := limiter.try_acquire(warm=True), SlotBusy):
                time.sleep(limiter.pause(outcome, rounds))
                rounds += 1
            departures.append(time.monotonic())
            limiter.release(outcome, warm=True)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(departures) == 40
    # A thread may be delayed between its departure and recording it; the next one then seems too close by as much.
    assert departures[-1] - departures[0] >= 39 * interval - 0.02
