"""The reports of a triggerer against the sandbox: their content, their slots, and what happens on failures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.status_reports import reporter
from airflow_provider_trackingmore.status_reports.report import (
    SLOTS,
    STALE_SECONDS,
    QuotaReading,
    StatusReport,
    report_name,
)
from airflow_provider_trackingmore.status_reports.reporter import StatusReporter, storage_of
from airflow_provider_trackingmore.waiting.pollers import Pollers
from airflow_provider_trackingmore.waiting.session import run_wait
from airflow_provider_trackingmore.waiting.spec import WaitSpec
from tests.integration.client.redis_server import RedisServer
from tests.integration.conftest import KEY

PEOPLE = {"customer_name": "Hildegard Aldringham", "customer_email": "h.aldringham@mail.example"}


class Memory:
    """Stores the reports of several triggerers."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.error: Exception | None = None
        self.writes = 0

    async def get(self, name: str) -> str | None:
        if self.error:
            raise self.error
        return self.texts.get(name)

    async def set(self, name: str, text: str) -> None:
        self.writes += 1
        if self.error:
            raise self.error
        self.texts[name] = text

    def report(self, slot: int = 0) -> StatusReport:
        (account,) = {name.rsplit("_", 1)[0] for name in self.texts}
        return StatusReport.from_text(self.texts[f"{account}_{slot}"])


class Triggerer:
    """The pollers and the reporter of one triggerer process.

    Its clock is ``ahead`` of the real one, in seconds.
    """

    def __init__(self, settings: ClientSettings, memory: Memory) -> None:
        self.settings = settings
        self.ahead = 0.0
        self.pollers = Pollers()
        self.reporter = StatusReporter(self.pollers, open_storage=lambda client: memory, clock=self.clock)
        self._waits: list[asyncio.Task[Any]] = []

    def clock(self) -> float:
        return time.time() + self.ahead

    async def connect(self) -> TrackingMoreClient:
        return TrackingMoreClient(self.settings, component="triggerer")

    def wait(self, trigger_id: int, *numbers: str) -> asyncio.Task[Any]:
        spec = WaitSpec.create(
            shipments=[{"carrier_code": "usps", "tracking_number": number} for number in numbers],
            poke_interval=600,
            first_check_at=0,
        )
        wait = asyncio.create_task(run_wait(spec, self.connect, pollers=self.pollers, trigger_id=trigger_id))
        self._waits.append(wait)
        return wait

    async def stop(self) -> None:
        for wait in self._waits:
            wait.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await wait


@pytest.fixture
def sandbox(sandbox_with_one_account: SandboxProcess) -> SandboxProcess:
    """The sandbox, with three parcels."""
    rows = [
        {"carrier_code": "usps", "tracking_number": number, "age_hours": age} | PEOPLE
        for number, age in (("TRANSIT1", 30), ("TRANSIT2", 30), ("ARRIVED1", 24 * 60))
    ]
    sandbox_with_one_account.seed(shipments=rows)
    return sandbox_with_one_account


@pytest.fixture
def settings(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ClientSettings:
    monkeypatch.setenv("TRACKINGMORE_PACING_DIR", str(tmp_path))
    return ClientSettings(api_key=KEY, base_url=sandbox.connection["host"], requests_per_second=50)


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def triggerer(settings: ClientSettings, memory: Memory) -> AsyncIterator[Triggerer]:
    made = Triggerer(settings, memory)
    yield made
    await made.stop()


async def until_checked(triggerer: Triggerer, *trigger_ids: int) -> None:
    async with asyncio.timeout(20):
        while True:
            progress: dict[int, Any] = {}
            for poller in triggerer.pollers.all:
                progress |= await poller.read_progress()
            if all(trigger_id in progress and progress[trigger_id].statuses for trigger_id in trigger_ids):
                return
            await asyncio.sleep(0.05)


async def test_a_report_has_the_progress_of_the_waits_and_figures_of_the_account(
    triggerer: Triggerer, memory: Memory, sandbox: SandboxProcess, settings: ClientSettings
) -> None:
    triggerer.wait(41, "TRANSIT1", "ARRIVED1")
    triggerer.wait(42, "TRANSIT2")
    released = triggerer.wait(43, "ARRIVED1")
    await released
    await until_checked(triggerer, 41, 42)
    await triggerer.reporter.write_all()
    report = memory.report()
    assert report.account == settings.fingerprint
    assert report.conn_ids == ("trackingmore_default",)
    assert report.waits == 2
    assert {trigger_id: sum(wait.statuses.values()) for trigger_id, wait in report.progress.items()} == {41: 2, 42: 1}
    assert report.progress[41].statuses["delivered"] == 1
    for wait in report.progress.values():
        assert wait.next_check_at is not None
        assert 500 < wait.next_check_at - time.time() < 601  # a report has whole seconds
    assert sum(report.releases.values()) == 1
    assert sum(report.usage.calls.values()) == len(sandbox.calls())
    assert [user.component for user in report.usage.users] == ["triggerer"]
    assert report.quota[-1].left > 0
    assert report.problem is None
    assert not report.left_out
    (text,) = memory.texts.values()
    content = StatusReport.from_text(text)
    for secret in (KEY, "TRANSIT", "ARRIVED", *PEOPLE.values()):
        assert secret not in repr(content)


async def test_a_call_of_another_process_is_in_the_report(
    triggerer: Triggerer, memory: Memory, settings: ClientSettings
) -> None:
    from airflow_provider_trackingmore.api import endpoints

    with TrackingMoreClient(settings) as worker:
        worker.send(endpoints.list_page(limit=1))
    triggerer.wait(1, "TRANSIT1")
    await until_checked(triggerer, 1)
    await triggerer.reporter.write_all()
    assert {user.component for user in memory.report().usage.users} == {"worker", "triggerer"}


async def test_the_quota_is_read_once_an_hour_and_the_last_report_has_no_waits(
    triggerer: Triggerer, memory: Memory, sandbox: SandboxProcess
) -> None:
    wait = triggerer.wait(1, "TRANSIT1")
    await until_checked(triggerer, 1)
    for minutes in range(0, 70, 10):
        triggerer.ahead = minutes * 60.0
        await triggerer.reporter.write_all()
    assert len(sandbox.calls("GET", "/trackings/getuserinfo")) == 2
    assert len(memory.report().quota) == 2
    wait.cancel()
    await asyncio.sleep(0)
    await triggerer.reporter.write_all()
    assert memory.report().waits == 0
    assert memory.report().progress == {}
    assert not memory.report().is_stale(time.time() + 90_000)
    writes = memory.writes
    await triggerer.reporter.write_all()
    assert memory.writes == writes


async def test_two_triggerers_have_a_report_each_even_if_they_begin_together(
    settings: ClientSettings, memory: Memory
) -> None:
    first, second = Triggerer(settings, memory), Triggerer(settings, memory)
    first.reporter._instance, second.reporter._instance = "host-a:1", "host-b:1"
    first.reporter._host, second.reporter._host = "host-a", "host-b"
    first.wait(1, "TRANSIT1")
    second.wait(2, "TRANSIT2")
    await until_checked(first, 1)
    await until_checked(second, 2)
    await asyncio.gather(first.reporter.write_all(), second.reporter.write_all())
    for _ in range(2):
        await first.reporter.write_all()
        await second.reporter.write_all()
    assert {memory.report(slot).host for slot in (0, 1)} == {"host-a", "host-b"}
    assert {tuple(memory.report(slot).progress) for slot in (0, 1)} == {(1,), (2,)}
    await first.stop()
    await second.stop()


def left_over(settings: ClientSettings, now: float, **values: Any) -> StatusReport:
    given = {"host": "gone", "instance": "gone:7", "written_at": now - STALE_SECONDS - 1, "waits": 9, **values}
    return StatusReport(settings.fingerprint, (), "triggerer", requests_per_second=1.0, **given)


async def test_the_slot_of_a_triggerer_that_is_gone_is_used_again_with_its_counts(
    triggerer: Triggerer, memory: Memory, settings: ClientSettings
) -> None:
    now = time.time()
    quarter = int(now // 900) * 900
    dead = left_over(settings, now, releases={quarter: 3}, quota=(QuotaReading(now - 60, 77),))
    memory.texts[report_name(settings.fingerprint, 0)] = dead.to_text()
    triggerer.wait(1, "TRANSIT1")
    await until_checked(triggerer, 1)
    await triggerer.reporter.write_all()
    await triggerer.reporter.write_all()
    assert len(memory.texts) == 1
    assert memory.report().waits == 1
    assert memory.report().releases == {quarter: 3}
    assert [reading.left for reading in memory.report().quota] == [77], "it was read a minute ago"


async def test_a_dead_process_of_this_host_leaves_its_slot_at_once(
    triggerer: Triggerer, memory: Memory, settings: ClientSettings
) -> None:
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await ended.wait()
    host = triggerer.reporter._host
    for slot, process_id in enumerate((os.getppid(), ended.pid)):
        report = left_over(settings, time.time(), host=host, instance=f"{host}:{process_id}", written_at=time.time())
        memory.texts[report_name(settings.fingerprint, slot)] = report.to_text()
    triggerer.wait(1, "TRANSIT1")
    await until_checked(triggerer, 1)
    await triggerer.reporter.write_all()
    assert [memory.report(slot).waits for slot in (0, 1)] == [9, 1]
    assert len(memory.texts) == 2


async def test_a_report_that_cannot_be_written_is_logged_once_and_harms_no_wait(
    triggerer: Triggerer,
    memory: Memory,
    settings: ClientSettings,
    sandbox: SandboxProcess,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger=reporter.__name__)
    wait = triggerer.wait(1, "TRANSIT1")
    await until_checked(triggerer, 1)
    memory.error = RuntimeError("the API server is down")
    for _ in range(3):
        await triggerer.reporter.write_all()
    memory.error = None
    memory.texts |= {
        report_name(settings.fingerprint, slot): left_over(settings, time.time(), written_at=time.time()).to_text()
        for slot in range(SLOTS)
    }
    await triggerer.reporter.write_all()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert not wait.done()
    memory.texts.popitem()
    await triggerer.reporter.write_all()
    assert memory.report(SLOTS - 1).waits == 1


async def test_a_wrong_key_is_in_the_report(
    settings: ClientSettings, memory: Memory, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Triggerer(ClientSettings(api_key="wrong-key-4d5e6f", base_url=settings.base_url), memory)
    wait = wrong.wait(1, "TRANSIT1")
    async with asyncio.timeout(20):
        while not any(poller.problem for poller in wrong.pollers.all):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await wrong.reporter.write_all()
    problem = memory.report().problem
    assert problem is not None
    assert problem.error == "AuthenticationError"
    assert problem.hint
    wait.cancel()
    await wrong.stop()


async def test_with_the_rate_limit_in_redis_so_are_report_and_usage(
    sandbox: SandboxProcess, settings: ClientSettings, redis_server: RedisServer
) -> None:
    there = ClientSettings(
        api_key=KEY, base_url=settings.base_url, requests_per_second=50, pacing=redis_server.url, max_attempts=1
    )
    with TrackingMoreClient(there) as client:
        storage = storage_of(client)
    triggerer = Triggerer(there, Memory())
    triggerer.reporter._open_storage = lambda client: storage
    triggerer.wait(1, "TRANSIT1")
    await until_checked(triggerer, 1)
    await triggerer.reporter.write_all()
    (text,) = await asyncio.to_thread(storage.read_all, there.fingerprint)  # type: ignore[attr-defined]
    report = StatusReport.from_text(text)
    assert report.usage_scope == "redis"
    assert sum(report.usage.calls.values()) == len(sandbox.calls()) == 2
    redis_server.kill()
    began = time.monotonic()
    await triggerer.reporter.write_all()
    assert await asyncio.to_thread(storage.read_all, there.fingerprint) == []  # type: ignore[attr-defined]
    assert time.monotonic() - began < 10
    await triggerer.stop()


def test_the_reader_finds_reports_in_variables_and_redis(
    airflow_database: None, settings: ClientSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It runs in the API server, which uses Airflow's database through the ORM."""
    from airflow.models.variable import Variable

    from airflow_provider_trackingmore.status_reports.reader import ReportReader

    now = time.time()
    Variable.set(report_name(settings.fingerprint, 0), left_over(settings, now, written_at=now).to_text())
    Variable.set(report_name(settings.fingerprint, 1), left_over(settings, now - 90_000).to_text())
    Variable.set(report_name(settings.fingerprint, 2), "1.damaged")
    connection = {"conn_type": "trackingmore", "password": KEY, "host": settings.base_url}
    monkeypatch.setenv("AIRFLOW_CONN_SHIPMENTS", json.dumps(connection))
    reader = ReportReader()
    found = reader.read(["shipments", "no_such_connection"])
    assert [report.written_at for report in found] == [round(now, 3)]
    known = reader.settings("shipments")
    assert known is not None
    assert known.fingerprint == settings.fingerprint
    assert reader.settings("no_such_connection") is None


def test_a_redis_that_the_api_server_cannot_use_hides_no_other_report(
    airflow_database: None, settings: ClientSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.variable import Variable

    from airflow_provider_trackingmore.status_reports import reader

    def refuse(url: str) -> None:
        raise InvalidSettingsError("the redis package is not installed")

    now = time.time()
    Variable.set(report_name(settings.fingerprint, 0), left_over(settings, now, written_at=now).to_text())
    monkeypatch.setattr(reader, "RedisReports", refuse)
    connection = {"conn_type": "trackingmore", "password": KEY, "extra": {"pacing": "redis://redis.example"}}
    monkeypatch.setenv("AIRFLOW_CONN_IN_REDIS", json.dumps(connection))
    assert [report.written_at for report in reader.ReportReader().read(["in_redis"])] == [round(now, 3)]
