"""Real sensors defer, their real triggers end against the sandbox, and each story becomes a file."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.upgrades import stories


def record(folder: Path) -> list[Path]:
    """Write every story into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    running = SandboxProcess(no_limits=True, start=stories.START, seed=3, pacing="memory")
    with patch.dict(os.environ), running as sandbox:
        return [_written(folder / f"{name}.json", _told(story, sandbox)) for name, story in stories.STORIES.items()]


def _told(story: stories.Story, sandbox: SandboxProcess) -> dict[str, Any]:
    sandbox.reset()
    sandbox.freeze()
    os.environ["AIRFLOW_CONN_TRACKINGMORE_DEFAULT"] = json.dumps(sandbox.connection)
    sandbox.seed(shipments=[{**shipment, "age_hours": 48.0} for shipment in story.registered])
    sensor = story.made()
    try:
        sensor.execute({})  # type: ignore[arg-type]
    except TaskDeferred as deferral:
        path, kwargs = deferral.trigger.serialize()
        trigger = deferral.trigger
        method, others = deferral.method_name, deferral.kwargs
    else:
        raise AssertionError(f"{story} has nothing to wait for")
    story.meanwhile(sandbox)
    event = asyncio.run(_event(trigger))
    return {
        "sensor": {"class": story.sensor, "arguments": story.arguments},
        "trigger": {"classpath": path, "kwargs": kwargs},
        "resume": {"method": method, "kwargs": others},
        "event": event,
        "then": stories.ending(story.made(), method, {**(others or {}), "event": event}),
    }


async def _event(trigger: Any) -> Any:
    async with asyncio.timeout(60):
        (event,) = [event async for event in trigger.run()]
    return event.payload


def _written(file: Path, content: dict[str, Any]) -> Path:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    return file
