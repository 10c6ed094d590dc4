"""Hints from the API server to the pollers, with a real Redis, and the sandbox over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client import hint_stream
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.hint_stream import MAX_ENTRIES, HintReader, HintWriter, ShipmentHint
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.loading.window import LoadWindow
from airflow_provider_trackingmore.plugins.hint_channels import HintChannels
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.triggers import hint_listener
from airflow_provider_trackingmore.triggers.hint_listener import HintListener, listen_for_hints
from airflow_provider_trackingmore.waiting.outcome import Verdict, WaitResult
from airflow_provider_trackingmore.waiting.pollers import Pollers
from airflow_provider_trackingmore.waiting.session import run_wait
from airflow_provider_trackingmore.waiting.spec import WaitSpec
from tests.integration.client.redis_server import PASSWORD, RedisServer
from tests.integration.conftest import KEY
from tests.polling import eventually

NUMBERS = [f"HINTED{number:04d}" for number in range(50)]
HALF_AN_HOUR = 1800.0


def hint(number: str, per_minute: int = 120) -> ShipmentHint:
    return ShipmentHint(ShipmentKey("usps", number), per_minute)


@pytest.fixture
def sandbox(sandbox_with_one_account: SandboxProcess) -> SandboxProcess:
    """The sandbox, with parcels in transit."""
    sandbox_with_one_account.seed(
        shipments=[{"carrier_code": "usps", "tracking_number": number, "age_hours": 30} for number in NUMBERS]
    )
    return sandbox_with_one_account


@pytest.fixture(autouse=True)
def _pacing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRACKINGMORE_PACING_DIR", str(tmp_path / "pacing"))
    monkeypatch.setattr(hint_stream, "BLOCK_SECONDS", 0.5)
    monkeypatch.setattr(hint_listener, "FILE_SECONDS", 0.05)


class Triggerer:
    """The pollers and the hint listener of one triggerer process."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self.pollers = Pollers()
        self.listener = HintListener(self.pollers, settings.fingerprint, settings.pacing)
        self._tasks: list[asyncio.Task[Any]] = []

    async def connect(self) -> TrackingMoreClient:
        self.listener.start()
        return TrackingMoreClient(self.settings, component="triggerer")

    def wait(self, *numbers: str, poke_interval: float = HALF_AN_HOUR) -> asyncio.Task[Verdict]:
        spec = WaitSpec.create(
            shipments=[{"carrier_code": "usps", "tracking_number": number} for number in numbers],
            poke_interval=poke_interval,
            first_check_at=0,
        )
        wait = asyncio.create_task(run_wait(spec, self.connect, pollers=self.pollers, trigger_id=1))
        self._tasks.append(wait)
        return wait

    async def stop(self) -> None:
        for task in (*self._tasks, *([self.listener._task] if self.listener._task else [])):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def triggerers(sandbox: SandboxProcess, redis_server: RedisServer) -> AsyncIterator[list[Triggerer]]:
    """Two of them, which share an account."""
    settings = ClientSettings(
        api_key=KEY, base_url=sandbox.connection["host"], requests_per_second=20, pacing=redis_server.url
    )
    made = [Triggerer(settings) for _ in range(2)]
    yield made
    for triggerer in made:
        await triggerer.stop()


async def deliver(sandbox: SandboxProcess, number: str) -> None:
    await asyncio.to_thread(sandbox.add_event, "usps", number, "Delivered", status="delivered")


async def until_listening(sandbox: SandboxProcess, redis_server: RedisServer, calls: int) -> None:
    """Wait until every wait has been checked once, and a triggerer listens."""
    await eventually(lambda: len(sandbox.calls()) >= calls)
    await eventually(lambda: [*redis.Redis.from_url(redis_server.url).scan_iter("*:listening")])
    await asyncio.sleep(0.3)


async def write(settings: ClientSettings, *hints: ShipmentHint) -> bool:
    channels = HintChannels()
    return await asyncio.to_thread(channels.send, settings.pacing, settings.fingerprint, hints)


async def test_a_hint_releases_waits_in_every_triggerer_at_once(
    triggerers: list[Triggerer], sandbox: SandboxProcess, redis_server: RedisServer
) -> None:
    first, second = (triggerer.wait(NUMBERS[0]) for triggerer in triggerers)
    other = triggerers[0].wait(NUMBERS[1])
    await until_listening(sandbox, redis_server, 2)
    calls = len(sandbox.calls())
    await deliver(sandbox, NUMBERS[0])
    assert await write(triggerers[0].settings, hint(NUMBERS[0]), hint("UNKNOWN0001"))
    async with asyncio.timeout(30):
        verdicts = await asyncio.gather(first, second)
    assert [verdict.result for verdict in verdicts] == [WaitResult.RELEASED] * 2
    assert not other.done()
    assert len(sandbox.calls()) - calls == 2, "one for each triggerer"


async def test_a_watcher_is_woken_too(
    triggerers: list[Triggerer], sandbox: SandboxProcess, redis_server: RedisServer
) -> None:
    poller = triggerers[0].pollers.get(await triggerers[0].connect())
    with poller.subscribe_to_lists({}, LoadWindow(0, 0), poke_interval=1800.0, reconcile_seconds=1800.0) as lists:
        await lists.next_update()
        await until_listening(sandbox, redis_server, 1)
        await deliver(sandbox, NUMBERS[0])
        assert await write(triggerers[0].settings, hint(NUMBERS[0]))
        async with asyncio.timeout(5):
            update = await lists.next_update()
        assert NUMBERS[0] in {row.sent_key.tracking_number for row in update.changed if row.sent_key}


async def test_while_redis_is_down_polling_continues_and_hints_work_again_when_it_is_back(
    triggerers: list[Triggerer],
    sandbox: SandboxProcess,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(hint_listener, "MAX_RETRY_SECONDS", 0.5)
    caplog.set_level(logging.INFO, logger=hint_listener.__name__)
    polled = triggerers[0].wait(NUMBERS[0], poke_interval=1)
    hinted = triggerers[0].wait(NUMBERS[1])
    await until_listening(sandbox, redis_server, 2)
    redis_server.kill()
    await deliver(sandbox, NUMBERS[0])
    assert not await write(triggerers[0].settings, hint(NUMBERS[1]))
    async with asyncio.timeout(20):
        assert (await polled).result is WaitResult.RELEASED
    redis_server.start()
    await until_listening(sandbox, redis_server, 0)
    await deliver(sandbox, NUMBERS[1])
    assert await write(triggerers[0].settings, hint(NUMBERS[1]))
    async with asyncio.timeout(10):
        assert (await hinted).result is WaitResult.RELEASED
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert sum("Redis is unavailable" in message for message in messages) == 1
    assert sum("Redis is back" in message for message in messages) == 1
    assert PASSWORD not in caplog.text


async def test_a_reader_that_was_disconnected_misses_nothing(redis_server: RedisServer) -> None:
    reader, writer = HintReader(redis_server.url, "a"), HintWriter(redis_server.url, "a")
    await asyncio.to_thread(writer.write, [hint("BEFORE0001")])
    assert not await reader.read(), "what was written before it began is old"
    await asyncio.to_thread(writer.write, [hint("N1")])
    await reader.close()
    assert await asyncio.to_thread(writer.write, [hint("N2", 7)])
    assert await reader.read() == [hint("N1"), hint("N2", 7)]
    assert not await reader.read()
    await reader.close()


async def test_the_stream_is_bounded_expires_and_holds_nothing_secret(redis_server: RedisServer) -> None:
    client = redis.Redis.from_url(redis_server.url)
    writer = HintWriter(redis_server.url, "a")
    for _ in range(12):
        assert not await asyncio.to_thread(writer.write, [hint(f"N{n}") for n in range(2_000)]), "nobody listens"
    (stream,) = client.keys("*")
    assert client.xlen(stream) < 1.1 * MAX_ENTRIES
    assert 0 < client.ttl(stream) <= hint_stream.EXPIRY_SECONDS
    assert set(client.xrange(stream, count=1)[0][1]) == {b"carrier_code", b"tracking_number", b"per_minute"}


@pytest.mark.parametrize(
    "fields",
    [
        {"x": "y"},
        {"carrier_code": "usps", "tracking_number": "", "per_minute": "1"},
        {"carrier_code": "usps", "tracking_number": "N1", "per_minute": "many"},
        {"carrier_code": b"\xff\xfe", "tracking_number": "N" * 5_000, "per_minute": "1"},
    ],
)
async def test_other_entries_of_the_stream_are_ignored(redis_server: RedisServer, fields: dict[Any, Any]) -> None:
    reader, writer = HintReader(redis_server.url, "a"), HintWriter(redis_server.url, "a")
    await reader.read()
    redis.Redis.from_url(redis_server.url).xadd("airflow-provider-trackingmore:hints:a", fields)
    await asyncio.to_thread(writer.write, [hint("N1")])
    assert await reader.read() == [hint("N1")]
    await reader.close()


async def test_with_the_rate_limit_in_a_file_a_watcher_on_the_same_host_is_woken(sandbox: SandboxProcess) -> None:
    settings = ClientSettings(api_key=KEY, base_url=sandbox.connection["host"], requests_per_second=20)
    triggerer = Triggerer(settings)
    poller = triggerer.pollers.get(await triggerer.connect())
    with poller.subscribe_to_lists({}, LoadWindow(0, 0), poke_interval=1800.0, reconcile_seconds=1800.0) as lists:
        await lists.next_update()
        lists.find_known = {hint(number).key.normalized: hint(number).key for number in NUMBERS}.get
        for number in NUMBERS[:2]:
            await deliver(sandbox, number)
            assert not await write(settings, hint(number)), "waits must be woken in another way"
            if number == NUMBERS[0]:
                async with asyncio.timeout(5):
                    update = await lists.next_update()
        assert {key.tracking_number: seen.status for key, seen in update.by_number.items()} == {
            NUMBERS[0].lower(): "delivered"
        }
        calls = len(sandbox.calls())
        await asyncio.sleep(1)
        assert len(sandbox.calls()) == calls, "at most once in half a minute"
    await triggerer.stop()


async def test_listening_ends_after_the_last_wait(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hint_listener, "UNUSED_SECONDS", 0.2)
    pollers = Pollers()
    client = TrackingMoreClient(ClientSettings(api_key=KEY, base_url=sandbox.connection["host"]))

    def listening() -> list[asyncio.Task[Any]]:
        return [task for task in asyncio.all_tasks() if task.get_name() == "trackingmore-hints"]

    for _ in range(2):
        listen_for_hints(pollers, client)
        listen_for_hints(pollers, client)
        assert len(listening()) == 1
        await asyncio.sleep(0.6)
        assert not listening()
