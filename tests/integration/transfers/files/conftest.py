"""Loads into a folder, from a sandbox whose clock is also that of the loads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.transfers import trackingmore_to_object_storage
from airflow_provider_trackingmore.transfers.trackingmore_to_object_storage import TrackingMoreToObjectStorageOperator
from tests.integration.operators.conftest import _running, execute, personal_data, sandbox, seed, ti
from tests.integration.transfers.files.lake import Lake, Load

__all__ = ["_running", "execute", "personal_data", "sandbox", "seed", "ti"]


@pytest.fixture
def clock(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads begin when the sandbox's clock says."""
    monkeypatch.setattr(
        trackingmore_to_object_storage, "utc_now", lambda: datetime.fromisoformat(sandbox.clock()["now"])
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty folder."""
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def load(clock: None, execute: Callable[..., Any], lake: Lake) -> Load:
    """Load once into the folder."""

    def loaded(**arguments: Any) -> dict[str, Any]:
        result: dict[str, Any] = execute(TrackingMoreToObjectStorageOperator, **{"path": lake.path} | arguments)
        return result

    return loaded
