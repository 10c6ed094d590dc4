"""A hook and a sandbox whose day takes a minute and a half, so that limits and waits are real but short."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_trackingmore.client import retry
from airflow_provider_trackingmore.client.rate_limit import clock as rate_limit_clock
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sandbox.process import SandboxProcess

TIME_SCALE = 1_000


@pytest.fixture
def sandbox(trackingmore_sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    trackingmore_sandbox.set_time_scale(TIME_SCALE)
    extra = {"requests_per_second": 500, "cool_down_seconds": 150 / TIME_SCALE, "pacing": "memory"}
    connection = trackingmore_sandbox.connection | {"extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))
    # On loopback a request arrives immediately, and a server that fails once recovers immediately.
    monkeypatch.setattr(retry, "MAX_BACKOFF_SECONDS", 0.05)
    monkeypatch.setattr(rate_limit_clock, "WARM_GRACE_SECONDS", 0.02)
    monkeypatch.setattr(rate_limit_clock, "COLD_GRACE_SECONDS", 0.02)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return trackingmore_sandbox


@pytest.fixture
def hook(sandbox: SandboxProcess) -> Iterator[TrackingMoreHook]:
    with TrackingMoreHook() as hook:
        yield hook


@pytest.fixture
def shipments() -> Callable[..., list[dict[str, Any]]]:
    """Make shipments that are never delivered, so that their status does not depend on the clock."""

    def make(count: int, carrier: str = "usps", first: int = 0) -> list[dict[str, Any]]:
        numbers = [f"SBX-PENDING-{at:05d}" for at in range(first, first + count)]
        return [{"tracking_number": number, "carrier_code": carrier} for number in numbers]

    return make
