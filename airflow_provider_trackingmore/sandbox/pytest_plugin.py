"""The pytest fixture ``trackingmore_sandbox``. Imports the sandbox only when a test uses the fixture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .process import SandboxProcess

TIME_SCALE = 100.0
START = "2026-03-02T08:00:00+00:00"
_TOLERANCE_SECONDS = 0.25
"""By how many seconds requests may be early: a busy machine delivers them unevenly. The average rate stays limited."""


@pytest.fixture(scope="session")
def _trackingmore_sandbox_process() -> Iterator[SandboxProcess]:
    from .process import SandboxProcess

    sandbox = SandboxProcess(
        time_scale=TIME_SCALE,
        start=START,
        switches={"rate_tolerance": _TOLERANCE_SECONDS},
        pacing="memory",
    )
    with sandbox:
        yield sandbox


@pytest.fixture
def trackingmore_sandbox(
    _trackingmore_sandbox_process: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> SandboxProcess:
    """An empty running sandbox; the Airflow connection ``trackingmore_default`` points to it."""
    sandbox = _trackingmore_sandbox_process
    sandbox.reset()
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(sandbox.connection))
    return sandbox
