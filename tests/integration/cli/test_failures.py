"""Exit codes and messages of failures."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import PROGRAM, Program, plain


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("wrong-key-of-somebody", "check the API key in TRACKINGMORE_API_KEY"),
        ("wröng", "api_key contains white space or a character that is not printable ASCII"),
    ],
)
def test_a_bad_key_ends_with_3(program: Program, key: str, said: str) -> None:
    program.keys.append(key)
    ended = program("account", TRACKINGMORE_API_KEY=key)
    assert (ended.code, ended.out) == (3, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_a_bad_address_ends_with_3(program: Program) -> None:
    ended = program("account", TRACKINGMORE_BASE_URL="api.trackingmore.example")
    assert ended.code == 3
    assert ended.err.startswith("trackingmore: TRACKINGMORE_API_KEY, TRACKINGMORE_BASE_URL: base_url must begin with")


def test_a_connection_that_is_not_there_ends_with_3(program: Program) -> None:
    ended = program("account", "--conn-id", "nowhere")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err == (
        "trackingmore: Airflow has no connection 'nowhere' (AirflowNotFoundException): "
        "create it with 'airflow connections add', or set TRACKINGMORE_API_KEY\n"
    )


def test_an_airflow_that_does_not_start_ends_with_3(program: Program) -> None:
    ended = program("account", "--conn-id", "mine", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="no database")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("trackingmore: Airflow")
    assert ended.err.endswith("or set TRACKINGMORE_API_KEY\n")
    assert ended.err.count("\n") == 1


def test_a_connection_without_a_key_ends_with_3(program: Program) -> None:
    ended = program("account", "--conn-id", "mine", AIRFLOW_CONN_MINE='{"conn_type": "trackingmore"}')
    assert ended.code == 3
    assert ended.err == ("trackingmore: connection 'mine': it has no API key: put the key into its password field\n")


def test_a_used_up_quota_ends_with_4(program: Program, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.change_account(0, quota=0)
    ended = program("detect", "9400100000000000000000")
    assert (ended.code, ended.out) == (4, "")
    assert "top up the account" in ended.err


def test_a_service_that_fails_ends_with_5_after_repetitions(
    program: Program, trackingmore_sandbox: SandboxProcess, connection: dict[str, Any]
) -> None:
    trackingmore_sandbox.fault("503", count=None)
    ended = program("list", "--conn-id", "mine", AIRFLOW_CONN_MINE=json.dumps(connection))
    assert (ended.code, ended.out) == (5, "")
    repeated, given_up = ended.err.splitlines()
    assert "answered 503" in repeated
    assert "(attempt 2 of 2)" in repeated
    assert given_up.startswith("trackingmore: GET /trackings/get: TrackingMore answered 503")
    assert len(trackingmore_sandbox.calls()) == 2


def test_a_service_that_is_not_there_ends_with_5(program: Program, connection: dict[str, Any]) -> None:
    away = {**connection, "host": "http://127.0.0.1:9/v2"}
    ended = program("account", "--conn-id", "mine", AIRFLOW_CONN_MINE=json.dumps(away))
    assert ended.code == 5
    assert "no connection to 127.0.0.1:9" in ended.err
    assert "(host) of the connection" not in ended.err


def test_a_short_cool_down_is_waited_for_and_reported(
    program: Program, trackingmore_sandbox: SandboxProcess, connection: dict[str, Any]
) -> None:
    trackingmore_sandbox.fault("429", count=1)
    ended = program.on_terminal("account", "--conn-id", "mine", AIRFLOW_CONN_MINE=json.dumps(connection))
    assert ended.code == 0
    first, *table = plain(ended.err).splitlines()
    assert first.startswith("trackingmore: GET /trackings/getuserinfo: TrackingMore answered 429")
    assert "Retrying in 1.2 s (attempt 2 of 2)" in first
    assert len(table) == 2


@pytest.mark.parametrize("asked", [{"TRACKINGMORE_DEBUG": "1"}, {}], ids=["variable", "option"])
def test_a_traceback_is_there_when_asked_for(program: Program, asked: dict[str, str]) -> None:
    ended = program("get", "usps", "404404", *([] if asked else ["--debug"]), **asked)
    assert ended.code == 1
    assert "Traceback (most recent call last)" in ended.err
    assert ended.err.splitlines()[-1].startswith("trackingmore: GET /trackings/usps/404404")


def test_ctrl_c_ends_with_130(program: Program, trackingmore_sandbox: SandboxProcess, tmp_path: Path) -> None:
    trackingmore_sandbox.fault("slow", seconds=30)
    file = tmp_path / "orders.csv"
    file.write_text("carrier_code,tracking_number\nusps,SBX-PENDING-1\n")
    process = subprocess.Popen(
        [*PROGRAM, "create", str(file), "--yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=program.environment,
        text=True,
        # A background job of a shell ignores Ctrl-C, and so do its children; a program on a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    until = time.monotonic() + 300
    while not trackingmore_sandbox.trackings() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert (out, err) == (
        "",
        "Interrupted. The changes made so far are kept, and it is safe to run the command again.\n",
    )
