"""The command line and SandboxProcess: start, stop, error messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from airflow_provider_trackingmore.sandbox.process import SandboxError, SandboxProcess

MODULE = [sys.executable, "-m", "airflow_provider_trackingmore.sandbox"]


def has_exited(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    if state.parent.parent.joinpath("self").exists():
        try:
            return state.read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def within_a_minute(condition) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_its_url_when_ready_and_exits_cleanly(stop):
    command = [*MODULE, "--port", "0", "--api-key", "one", "--api-key", "two", "--quota", "7", "--switch", "tz=+00:00"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/v2")
        for key in ("one", "two"):
            answer = requests.get(url + "/trackings/getuserinfo", headers={"Trackingmore-Api-Key": key}, timeout=60)
            assert answer.json()["data"]["track_number"] == 7
        process.send_signal(stop)
        assert process.wait(60) == 0
        assert process.stdout.read() == ""
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--switch", "tz=+05:00"], "one of +08:00, +00:00"),
        (["--switch", "nonsense=1"], "unknown switch 'nonsense'"),
        (["--start", "tomorrow"], "ISO 8601"),
        (["--time-scale", "0"], "above 0"),
        (["--port", "65536"], "--port must be a number from 0 to 65535"),
        (["--quota", "inf"], "--quota must be a number from 0 to 1000000000000"),
        (["--quota", "nan"], "--quota must be a number from 0 to 1000000000000"),
        (["--api-key", ""], "every account needs an API key of its own"),
        (["--api-key", "one", "--api-key", "one"], "every account needs an API key of its own"),
    ],
)
def test_an_invalid_argument_is_explained(arguments, says):
    done = subprocess.run([*MODULE, *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.parametrize("keys", ["a-secret-key", '{"a-secret-key": 1}', '["a-secret-key", 5]', "[]"])
def test_invalid_keys_in_the_environment_are_explained_and_not_shown(keys):
    environment = os.environ | {"TRACKINGMORE_SANDBOX_API_KEYS": keys}
    done = subprocess.run(MODULE, capture_output=True, text=True, timeout=30, env=environment, check=False)
    assert done.returncode == 2
    assert "TRACKINGMORE_SANDBOX_API_KEYS must be a JSON list of API keys" in done.stderr
    assert "a-secret-key" not in done.stderr


def test_a_port_in_use_is_explained_in_one_line(sandbox):
    port = sandbox.base_url.rpartition(":")[2].removesuffix("/v2")
    done = subprocess.run([*MODULE, "--port", port], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == f"cannot listen on 127.0.0.1:{port}: Address already in use"


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn"])
def test_a_missing_extra_is_explained_in_one_line(tmp_path, missing):
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError('there is none', name='{missing}')\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(MODULE, capture_output=True, text=True, timeout=30, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().count("\n") == 0
    assert "pip install 'airflow-provider-trackingmore[sandbox]'" in done.stderr


def test_a_sandbox_exits_with_its_parent_process():
    script = (
        "from airflow_provider_trackingmore.sandbox.process import SandboxProcess\n"
        "import os\n"
        "print(SandboxProcess().start().pid, flush=True)\n"
        "os._exit(9)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    pid = int(done.stdout)
    assert within_a_minute(lambda: has_exited(pid))


def test_a_sandbox_process_starts_with_its_arguments_and_stops():
    with SandboxProcess(
        api_keys=["k1", "k2"],
        time_scale=50,
        seed=4,
        quota=12,
        start="2026-05-01T00:00:00",
        switches={"created_code": 200, "total_as_string": False},
        pacing="memory",
    ) as sandbox:
        assert sandbox.clock()["now"].startswith("2026-05-01T00:")
        assert [account["quota_left"] for account in sandbox.accounts()] == [12, 12]
        assert sandbox.request("GET", "/switches")["total_as_string"]["position"] == "false"
        assert sandbox.connection == {
            "conn_type": "trackingmore",
            "host": sandbox.base_url,
            "password": "k1",
            "extra": {"requests_per_second": 50.0, "cool_down_seconds": 2.4, "pacing": "memory"},
        }
        assert sandbox.connection_for(1)["password"] == "k2"
        pid = sandbox.pid
    assert has_exited(pid)
    assert sandbox.stop() is None


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_the_key_is_not_among_the_arguments_of_the_process():
    with SandboxProcess(api_keys=["a-very-secret-key"]) as sandbox:
        assert "a-very-secret-key" not in Path(f"/proc/{sandbox.pid}/cmdline").read_text()
        assert "a-very-secret-key" not in repr(sandbox)


def test_a_sandbox_that_cannot_start_says_why(sandbox):
    with pytest.raises(SandboxError, match="one of"):
        SandboxProcess(switches={"tz": "nowhere"}).start()
    port = int(sandbox.base_url.rpartition(":")[2].removesuffix("/v2"))
    with pytest.raises(SandboxError, match="cannot listen"):
        SandboxProcess(port=port).start()


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_a_sandbox_exits_although_its_parent_exits_before_it_is_ready():
    script = (
        "import subprocess, sys, time\n"
        "from pathlib import Path\n"
        f"arguments = {['--port', '0', '--parcels', '20000', '--exit-with-parent']!r}\n"
        f"sandbox = subprocess.Popen([*{MODULE!r}, *arguments], stdout=subprocess.DEVNULL)\n"
        "while 'libssl' not in Path(f'/proc/{sandbox.pid}/maps').read_text():  # it imports the server\n"
        "    time.sleep(0.01)\n"
        "print(sandbox.pid, flush=True)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=60, env=environment, check=True
    )
    pid = int(done.stdout)
    try:
        assert within_a_minute(lambda: has_exited(pid))
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
