"""Run each wait case against the sandbox, and write what it leaves in Airflow's database to a file."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.task_runner import wait_until_account_is_free
from tests.upgrades.wait_cases import START, WAIT_CASES, WaitCase, run_to_end


def record(folder: Path) -> list[Path]:
    """Write a file for every case to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    running = SandboxProcess(no_limits=True, start=START, seed=3, pacing="memory")
    with patch.dict(os.environ), running as sandbox:
        return [_write(folder / f"{name}.json", _record_case(case, sandbox)) for name, case in WAIT_CASES.items()]


def _record_case(case: WaitCase, sandbox: SandboxProcess) -> dict[str, Any]:
    sandbox.reset()
    sandbox.freeze()
    os.environ["AIRFLOW_CONN_TRACKINGMORE_DEFAULT"] = json.dumps(sandbox.connection)
    sandbox.seed(shipments=[{**shipment, "age_hours": 48.0} for shipment in case.registered])
    sensor = case.make_sensor()
    wait_until_account_is_free()  # so that each case records a first check on the worker
    try:
        sensor.execute({})  # type: ignore[arg-type]
    except TaskDeferred as deferral:
        path, kwargs = deferral.trigger.serialize()
        trigger = deferral.trigger
        method, others = deferral.method_name, deferral.kwargs
    else:
        raise AssertionError(f"{case} has nothing to wait for")
    case.meanwhile(sandbox)
    event = asyncio.run(_event(trigger))
    return {
        "sensor": {"class": case.sensor, "arguments": case.arguments},
        "trigger": {"classpath": path, "kwargs": kwargs},
        "resume": {"method": method, "kwargs": others},
        "event": event,
        "then": run_to_end(case.make_sensor(), method, {**(others or {}), "event": event}),
    }


async def _event(trigger: Any) -> Any:
    async with asyncio.timeout(60):
        (event,) = [event async for event in trigger.run()]
    return event.payload


def _write(file: Path, content: dict[str, Any]) -> Path:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    return file
