"""The fixture as users see it, in a separate pytest run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TESTS = """
import json
import os
import requests

def test_a_parcel_arrives(trackingmore_sandbox):
    sandbox = trackingmore_sandbox
    connection = json.loads(os.environ["AIRFLOW_CONN_TRACKINGMORE_DEFAULT"])
    assert connection == sandbox.connection
    assert connection["extra"]["requests_per_second"] == 100
    headers = {"Trackingmore-Api-Key": connection["password"]}
    body = {"tracking_number": "SBX-DELIVERED-3D-1", "carrier_code": "usps"}
    requests.post(connection["host"] + "/trackings/post", json=body, headers=headers)
    sandbox.advance(days=3)
    answer = requests.get(connection["host"] + "/trackings/usps/SBX-DELIVERED-3D-1", headers=headers).json()
    assert answer["data"]["status"] == "delivered"
    assert sandbox.ledger()["requests"] == len(sandbox.calls()) == 2
    sandbox.fault("500", count=None)
    sandbox.switch(created_code=200)

def test_the_next_test_starts_with_an_empty_sandbox(trackingmore_sandbox):
    assert trackingmore_sandbox.trackings() == []
    assert trackingmore_sandbox.ledger()["requests"] == 0
    assert trackingmore_sandbox.request("GET", "/faults")["planned"] == []
    assert trackingmore_sandbox.clock()["now"].startswith("2026-03-02T08:")

def test_the_limits_are_on(trackingmore_sandbox):
    headers = {"Trackingmore-Api-Key": trackingmore_sandbox.api_key}
    trackingmore_sandbox.set_time_scale(1e-6)
    url = trackingmore_sandbox.base_url + "/carriers"
    assert {requests.get(url, headers=headers).json()["meta"]["code"] for _ in range(30)} == {200, 429}

def test_a_test_without_it_has_no_connection():
    assert "AIRFLOW_CONN_TRACKINGMORE_DEFAULT" not in os.environ
"""


@pytest.fixture
def environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
    return kept | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def test_the_fixture_gives_each_test_a_fresh_sandbox(tmp_path, environment):
    (tmp_path / "test_users_own.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "airflow_provider_trackingmore.sandbox.pytest_plugin",
        str(tmp_path),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=environment, cwd=tmp_path, check=False
    )
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_loading_the_plugin_loads_neither_server_nor_http_library(environment):
    script = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_trackingmore.sandbox.pytest_plugin\n"
        "print(sorted(name for name in set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=environment, check=True
    )
    loaded = done.stdout
    assert "airflow_provider_trackingmore.sandbox.pytest_plugin" in loaded
    assert not any(
        name in loaded for name in ("fastapi", "uvicorn", "requests", "urllib", "sandbox.process", "'airflow'")
    )
