"""``make standalone``: the user's settings apply, and "Test Connection" in the UI works."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from demo.components import free_port

pytestmark = [pytest.mark.system, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def interrupting(running: subprocess.Popen[str]) -> Iterator[None]:
    """Interrupt the process at the end, also after a failed assertion: Popen waits for it."""
    try:
        yield
    finally:
        running.send_signal(signal.SIGINT)


def test_standalone_has_the_settings_of_the_user_and_a_connection_that_can_be_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__API__INSTANCE_NAME", "my shop")
    monkeypatch.setenv("AIRFLOW__API__PORT", str(port := free_port()))
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://proxy.example/airflow")
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", "trackingmore://:a-real-key@")
    command = [sys.executable, "-m", "demo", "standalone"]
    with (
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as running,
        interrupting(running),
    ):
        assert running.stdout is not None
        lines = []
        for line in running.stdout:
            lines.append(line)
            if "press Ctrl-C" in line:
                break
        output = "".join(lines)
        started = psutil.Process(running.pid).children(recursive=True)
        url = f"http://127.0.0.1:{port}/airflow"
        assert f"Airflow: {url}/dags/order_closing" in output, output
        assert "Not used here: AIRFLOW_CONN_TRACKINGMORE_DEFAULT" in output
        session = requests.Session()
        session.trust_env = False
        token = session.get(f"{url}/auth/token", timeout=60).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        assert session.get(f"{url}/ui/config", timeout=60).json()["instance_name"] == "my shop"

        stored = session.get(f"{url}/api/v2/connections/trackingmore_default", timeout=60).json()
        sandbox = re.search(r"Sandbox: (\S+);", output)
        assert sandbox is not None
        assert stored["host"] == sandbox[1]
        as_the_ui_sends_it = {
            **{name: stored[name] or "" for name in ("connection_id", "conn_type", "description", "host", "login")},
            "extra": stored["extra"],
            "password": "***",
            "port": stored["port"] or 0,
            "schema": "",
        }
        answer = session.post(f"{url}/api/v2/connections/test", json=as_the_ui_sends_it, timeout=60)
        assert answer.ok, answer.text
        assert answer.json()["status"] is True, answer.text

        path = f"{url}/api/v2/dags/order_closing/dagRuns/~/taskInstances"
        waiting = session.get(f"{path}?state=deferred&limit=1", timeout=60).json()["total_entries"]
        assert waiting > 10
        page = re.search(r"Open waits, in the menu Browse: (\S+)", output)
        assert page is not None
        assert page[1] == f"{url}/plugin/trackingmore-shipments"
        curl = re.search(r"^ *(curl .*)$", output, re.MULTILINE)
        assert curl is not None
        subprocess.run(["sh", "-c", f"{curl[1]} --fail --silent --show-error --noproxy '*'"], check=True, timeout=60)
        closed = 0
        until = time.monotonic() + 120
        while not closed:  # the next check is up to a minute away, and none is needed
            closed = session.get(f"{path}?state=success&limit=100", timeout=60).json()["total_entries"] - 3
            assert time.monotonic() < until, "the webhooks of a day end no wait"
            time.sleep(1)

        running.send_signal(signal.SIGINT)
        assert running.wait(120) == 0
        assert running.stdout.read() == "Stopped.\n"
    assert psutil.wait_procs(started, timeout=60)[1] == []
    assert [*tmp_path.iterdir()] == []
