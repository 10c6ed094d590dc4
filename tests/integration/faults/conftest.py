"""A sandbox that injects the fault under test, and a hook on a fake clock that records how long each request waited."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.rate_limit import stores
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.hooks import base as hooks_base
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.faults.fault_cases import ATTEMPTS
from tests.integration.faults.operations import NINETY

QUOTA = 10_000
KEY = "4c1e7a90b6d35f28-faults"
PEOPLE = {"customer_name": "Ottilie Brandvold", "customer_email": "o.brandvold@mail.example", "comment": "ask Quentin"}
SECRETS = [KEY, "Ottilie", "randvold", "Quentin"]


class WaitingClock:
    """A clock that only sleeping moves. It records how long each request waited."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.each: list[float] = []
        self.requests = 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Run:
    """One method of the hook on a sandbox with one fault."""

    def __init__(self, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, waits: WaitingClock) -> None:
        self.sandbox = sandbox
        self.waits = waits
        self.output: list[str] = []
        self._monkeypatch = monkeypatch

    def seed(self) -> None:
        rows = [{**key._asdict(), **PEOPLE, "age_hours": at + 1} for at, key in enumerate(chain(*NINETY))]
        self.sandbox.seed(shipments=rows)

    def break_dns(self, times: int | None) -> None:
        """Make the next DNS lookups fail; all of them if ``times`` is None."""
        resolve, remaining = socket.getaddrinfo, [float("inf") if times is None else times]

        def failing(*arguments: Any, **options: Any) -> Any:
            if remaining[0] > 0:
                remaining[0] -= 1
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return resolve(*arguments, **options)

        self._monkeypatch.setattr(socket, "getaddrinfo", failing)

    def restore_dns(self, resolve: Any = socket.getaddrinfo) -> None:
        self._monkeypatch.setattr(socket, "getaddrinfo", resolve)

    def hook(self, *, timeout_seconds: float, max_wait_seconds: float | None) -> TrackingMoreHook:
        extra = {
            "pacing": "memory",
            "requests_per_second": 20,
            "max_attempts": ATTEMPTS,
            "timeout_seconds": timeout_seconds,
        }
        connection = self.sandbox.connection | {"extra": extra}
        self._monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))
        return TrackingMoreHook(max_wait_seconds=max_wait_seconds)


@pytest.fixture(scope="session")
def _unlimited() -> Iterator[SandboxProcess]:
    with SandboxProcess(
        api_keys=[KEY], no_limits=True, quota=QUOTA, start="2026-03-02T08:00:00+00:00", seed=5
    ) as process:
        yield process


@pytest.fixture
def run(_unlimited: SandboxProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Run]:
    """Check afterwards that neither the log, at DEBUG, nor the errors contain the key or personal data."""
    caplog.set_level(logging.DEBUG)
    waits = WaitingClock()

    class Client(TrackingMoreClient):
        """A client that waits on the clock of the test."""

        def __init__(self, settings: ClientSettings, **options: Any) -> None:
            super().__init__(settings, clock=waits, sleep=waits.sleep, **options)

        def send(self, request: Request[Any], *, max_wait_seconds: float | None = None) -> Any:
            before, sent = waits.now, self.statistics.requests
            try:
                return super().send(request, max_wait_seconds=max_wait_seconds)
            finally:
                waits.each.append(waits.now - before)
                waits.requests += self.statistics.requests - sent

    monkeypatch.setattr(hooks_base, "TrackingMoreClient", Client)
    monkeypatch.setattr(stores, "_in_this_process", {})
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    _unlimited.reset()
    run = Run(_unlimited, monkeypatch, waits)
    yield run
    written = [logging.Formatter().format(record) for record in caplog.get_records("call")]
    assert written or not waits.requests, "there is no log to search"
    output = "\n".join([*written, *run.output])
    assert not [secret for secret in SECRETS if secret in output]
