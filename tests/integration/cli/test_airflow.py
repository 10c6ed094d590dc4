"""``airflow trackingmore``: the same commands as a part of Airflow's own command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import Program

AIRFLOW = (sys.executable, "-m", "airflow")

takes_commands = pytest.mark.skipif(
    tuple(map(int, metadata.version("apache-airflow").split(".")[:2])) < (3, 2),
    reason="Airflow before 3.2 takes no commands from providers: there it is python -m airflow_provider_trackingmore",
)


@takes_commands
def test_airflow_lists_the_commands(program: Program) -> None:
    ended = program("trackingmore", "--help", program=AIRFLOW)
    assert ended.code == 0
    commands = {line.split()[0] for line in ended.out.splitlines() if line.startswith("    ")}
    assert commands == {"account", "carriers", "create", "detect", "get", "list", "sandbox"}


@takes_commands
@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (["account"], 0),
        (["get", "usps", "404404"], 1),
        (["list", "--limit", "x"], 2),
        (["account", "--conn-id", "no"], 3),
    ],
)
def test_the_exit_codes_are_the_same(program: Program, typed: list[str], code: int) -> None:
    ended = program("trackingmore", *typed, program=AIRFLOW)
    assert ended.code == code, ended.err
    if code == 0:
        assert ended.rows[0]["quota_left"] == 100_000
        assert ended.err == ""
    if code in (1, 3):
        assert ended.err.startswith("trackingmore: ")
        assert ended.err.count("\n") == 1


@takes_commands
def test_the_sandbox_takes_the_place_of_airflow(program: Program) -> None:
    process = subprocess.Popen(
        [*AIRFLOW, "trackingmore", "sandbox", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=program.environment,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_the_sandbox_has_its_own_help_and_mistakes(program: Program) -> None:
    program.keys.clear()  # its help names its default key
    shown = program("sandbox", "--help")
    assert (shown.code, shown.err) == (0, "")
    assert "python -m airflow_provider_trackingmore.sandbox" in shown.out
    assert program("sandbox", "--time-scale", "-1").code == 2


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Airflow with a database."""
    directory = tmp_path_factory.mktemp("airflow")
    environment = {**os.environ, "AIRFLOW_HOME": str(directory)}
    subprocess.run([*AIRFLOW, "db", "migrate"], check=True, capture_output=True, env=environment)
    return directory


def test_connections_of_airflows_database_are_found(
    program: Program, trackingmore_sandbox: SandboxProcess, connection: dict[str, Any], home: Path
) -> None:
    added = program(
        "connections", "add", "kept", "--conn-json", json.dumps(connection), program=AIRFLOW, AIRFLOW_HOME=str(home)
    )
    assert added.code == 0, added.err
    ended = program("account", "--conn-id", "kept", AIRFLOW_HOME=str(home), TRACKINGMORE_API_KEY=None)
    assert (ended.code, ended.err) == (0, "")
    assert ended.rows[0]["quota_left"] == 100_000
