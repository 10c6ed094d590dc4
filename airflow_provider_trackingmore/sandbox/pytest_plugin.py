"""The pytest fixture ``trackingmore_sandbox``. Cheap to import: no part of the sandbox before a test asks for it."""

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
"""How unevenly a busy test machine may deliver requests; the average rate is limited all the same."""


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
    """A running sandbox without shipments, and the connection ``trackingmore_default`` that leads to it."""
    sandbox = _trackingmore_sandbox_process
    sandbox.reset()
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(sandbox.connection))
    return sandbox
