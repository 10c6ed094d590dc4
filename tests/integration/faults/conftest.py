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
from airflow_provider_trackingmore.hooks import trackingmore
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.faults.fault_cases import ATTEMPTS
from tests.integration.faults.operations import NINETY

QUOTA = 10_000
KEY = "4c1e7a90b6d35f28-faults"
PEOPLE = {"customer_name": "Ottilie Brandvold", "customer_email": "o.brandvold@mail.example", "comment": "ask Quentin"}
SECRETS = [KEY, "Ottilie", "randvold", "Quentin"]


class Waits:
    """A clock that only sleeping moves, and how far each request moved it."""

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

    def __init__(self, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, waits: Waits) -> None:
        self.sandbox = sandbox
        self.waits = waits
        self.said: list[str] = []
        self._monkeypatch = monkeypatch

    def seed(self) -> None:
        rows = [{**key._asdict(), **PEOPLE, "age_hours": at + 1} for at, key in enumerate(chain(*NINETY))]
        self.sandbox.seed(shipments=rows)

    def names_are_unknown(self, times: int | None) -> None:
        """Let the next look-ups of a name fail, all of them for None."""
        real, left = socket.getaddrinfo, [float("inf") if times is None else times]

        def look_up(*given: Any, **more: Any) -> Any:
            if left[0] > 0:
                left[0] -= 1
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return real(*given, **more)

        self._monkeypatch.setattr(socket, "getaddrinfo", look_up)

    def names_are_known(self, real: Any = socket.getaddrinfo) -> None:
        self._monkeypatch.setattr(socket, "getaddrinfo", real)

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
    """Afterwards neither the log, at DEBUG, nor what errors say of themselves may hold the key or name a person."""
    caplog.set_level(logging.DEBUG)
    waits = Waits()

    class Client(TrackingMoreClient):
        """Waits on the clock of the test."""

        def __init__(self, settings: ClientSettings, **options: Any) -> None:
            super().__init__(settings, clock=waits, sleep=waits.sleep, **options)

        def send(self, request: Request[Any], *, max_wait_seconds: float | None = None) -> Any:
            before, sent = waits.now, self.statistics.requests
            try:
                return super().send(request, max_wait_seconds=max_wait_seconds)
            finally:
                waits.each.append(waits.now - before)
                waits.requests += self.statistics.requests - sent

    monkeypatch.setattr(trackingmore, "TrackingMoreClient", Client)
    monkeypatch.setattr(stores, "_in_this_process", {})
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    _unlimited.reset()
    run = Run(_unlimited, monkeypatch, waits)
    yield run
    written = [logging.Formatter().format(record) for record in caplog.get_records("call")]
    assert written or not waits.requests, "the search has something to look through"
    said = "\n".join([*written, *run.said])
    assert not [secret for secret in SECRETS if secret in said]
