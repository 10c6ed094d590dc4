"""A wait that an earlier release deferred continues in this one: its stored form still loads and means the same."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger

from airflow_provider_trackingmore import __version__
from tests.upgrades import wait_cases
from tests.upgrades.record import record

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*/*.json"))
LONG_AGO = 1e9
"""Unix seconds in 2001. No duration is that long."""

kept = pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")


def loaded(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def trigger_of(content: dict[str, Any]) -> BaseTrigger:
    module, _, name = content["trigger"]["classpath"].rpartition(".")
    made = getattr(importlib.import_module(module), name)(**content["trigger"]["kwargs"])
    assert isinstance(made, BaseTrigger)
    return made


def sensor_of(content: dict[str, Any]) -> Any:
    return wait_cases.make_sensor(content["sensor"]["class"], {"deferrable": True} | content["sensor"]["arguments"])


def test_this_release_has_its_files() -> None:
    """``python -m tests.upgrades`` writes them."""
    assert {file.stem for file in FILES if file.parent.name == __version__} == set(wait_cases.WAIT_CASES)


@kept
def test_the_trigger_loads_and_keeps_its_arguments(file: Path) -> None:
    content = loaded(file)
    path, kwargs = trigger_of(content).serialize()
    assert path == content["trigger"]["classpath"]
    assert {name: kwargs[name] for name in content["trigger"]["kwargs"]} == content["trigger"]["kwargs"]


@kept
def test_the_event_ends_the_task_as_it_did_then(file: Path) -> None:
    content = loaded(file)
    kwargs = {**(content["resume"]["kwargs"] or {}), "event": content["event"]}
    ended = wait_cases.run_to_end(sensor_of(content), content["resume"]["method"], kwargs)
    if "raises" in content["then"]:
        assert ended.get("raises") == content["then"]["raises"], ended
        return
    assert len(ended.get("returns", [])) == len(content["then"]["returns"]), ended
    for now, then in zip(ended["returns"], content["then"]["returns"], strict=True):
        assert now.items() >= then.items(), "entries may be added, but not removed or changed"


@pytest.mark.slow
def test_a_new_recording_is_equal_to_the_stored_one(tmp_path: Path) -> None:
    """It fails if arguments or events have changed. Before a release, record again; after it, waits may be deferred."""
    for file in record(tmp_path):
        now, then = loaded(file), loaded(FOLDER / __version__ / file.name)
        assert _without_texts(now) == _without_texts(then), f"not as in {__version__}/{file.name}"


def _without_texts(content: dict[str, Any]) -> dict[str, Any]:
    """Remove messages and the time of the recording, which may change."""
    return content | {
        "trigger": content["trigger"] | {"kwargs": {"wait": _without_times(content["trigger"]["kwargs"]["wait"])}},
        "resume": content["resume"] | {"kwargs": _without_times(content["resume"]["kwargs"])},
        "event": content["event"] | {"reason": bool(content["event"]["reason"])},
        "then": content["then"] | {"text": bool(content["then"].get("text"))},
    }


def _without_times(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: "a time" if isinstance(value, float) and value > LONG_AGO else value for name, value in values.items()
    }
