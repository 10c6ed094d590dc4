"""``airflow trackingmore``: the same commands as a part of Airflow's own command line."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest

from airflow_provider_trackingmore.cli.definition import COMMANDS
from tests.warm_airflow import WarmAirflow

from .conftest import Ended, Program

AIRFLOW = (sys.executable, "-m", "airflow")


def in_warm_airflow(program: Program, warm_airflow: WarmAirflow, *arguments: str) -> Ended:
    """Run ``airflow`` with these arguments."""
    done = warm_airflow.run(
        "-m", "airflow", *arguments, environment=program.environment, cwd=program.directory, separate=True
    )
    return program.ended(done.returncode, done.stdout, done.stderr)


takes_commands = pytest.mark.skipif(
    tuple(map(int, metadata.version("apache-airflow").split(".")[:2])) < (3, 2),
    reason="Airflow before 3.2 takes no commands from providers: there it is python -m airflow_provider_trackingmore",
)


@takes_commands
def test_airflow_lists_the_commands(program: Program) -> None:
    ended = program("trackingmore", "--help", program=AIRFLOW)
    assert ended.code == 0
    commands = {line.split()[0] for line in ended.out.splitlines() if line.startswith("    ")}
    assert commands == {command.name for command in COMMANDS}


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
def test_the_exit_codes_are_the_same(program: Program, warm_airflow: WarmAirflow, typed: list[str], code: int) -> None:
    ended = in_warm_airflow(program, warm_airflow, "trackingmore", *typed)
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
        process.communicate(timeout=300)


def test_the_sandbox_has_its_own_help_and_mistakes(program: Program) -> None:
    program.keys.clear()  # its help names its default key
    shown = program("sandbox", "--help")
    assert (shown.code, shown.err) == (0, "")
    assert "python -m airflow_provider_trackingmore.sandbox" in shown.out
    assert program("sandbox", "--time-scale", "-1").code == 2


@pytest.mark.usefixtures("airflow_database")
def test_connections_of_airflows_database_are_found(
    program: Program, warm_airflow: WarmAirflow, connection: dict[str, Any]
) -> None:
    kept = ("connections", "add", "kept", "--conn-json", json.dumps(connection))
    added = in_warm_airflow(program, warm_airflow, *kept)
    assert added.code == 0, added.err
    ended = program("account", "--conn-id", "kept", TRACKINGMORE_API_KEY=None)
    assert (ended.code, ended.err) == (0, "")
    assert ended.rows[0]["quota_left"] == 100_000
