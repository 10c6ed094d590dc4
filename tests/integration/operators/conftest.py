"""Fixtures to execute one operator: the sandbox of the Airflow tests, a task instance, and the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.operators.base import TrackingMoreBaseOperator
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.airflow.conftest import _running, personal_data, run_dag_file, sandbox, seed

__all__ = ["_running", "personal_data", "run_dag_file", "sandbox", "seed"]

Seed = Callable[..., list[dict[str, Any]]]


class TaskInstance:
    """A task instance that keeps what is pushed to XCom."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def ti() -> TaskInstance:
    return TaskInstance()


Execute = Callable[..., Any]


@pytest.fixture
def execute(sandbox: SandboxProcess, ti: TaskInstance) -> Execute:
    """Execute an operator on an empty ledger, and check that its result is plain JSON."""

    def executed(operator: type, **arguments: Any) -> Any:
        sandbox.clear_ledger()
        returned = operator(task_id="t", **arguments).execute({"ti": ti})
        assert json.loads(json.dumps(returned)) == returned, "the result survives XCom unchanged"
        return returned

    return executed


@pytest.fixture
def call_counts(sandbox: SandboxProcess) -> Callable[[], dict[str, int]]:
    """Return the number of calls to each endpoint."""
    return lambda: dict(sandbox.ledger()["by_endpoint"])


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return the lines that tasks and hooks log, with their level. Airflow's own loggers differ by version."""
    caplog.set_level(logging.INFO)
    for cls in (TrackingMoreBaseOperator, TrackingMoreHook):
        monkeypatch.setattr(cls, "log", logging.getLogger(cls.__module__))
    return lambda: [f"{record.levelname} {record.getMessage()}" for record in caplog.records]
