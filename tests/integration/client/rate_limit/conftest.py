"""Other processes that use an account at the same time."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

Processes = list["subprocess.Popen[str]"]


@pytest.fixture
def processes() -> Iterator[Processes]:
    """An empty list; the processes that a test adds to it are killed after the test."""
    started: Processes = []
    yield started
    for process in started:
        process.kill()
        process.communicate()
