"""The components of ``make demo``: their settings, their ports, and the log to which they write at the same time."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from typing import Any

import pytest

from demo.components import COMPONENTS, DAGS, Airflow, free_port

LINES = 30_000
TALKATIVE = f"""
import pathlib, sys
if sys.argv[1] != "db":
    for n in range({LINES}):
        print(n, "parcels of Zoë Łęcka" * (n % 13))
    sys.stdout.flush()
    pathlib.Path(sys.argv[1] + ".over").touch()
"""


def settings(folder: Path, **arguments: Any) -> Airflow:
    return Airflow(folder / "home", io.StringIO(), {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}, **arguments)


def test_the_settings_of_the_user_take_precedence_except_those_of_another_airflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        monkeypatch.delenv(name)
    own = {
        "AIRFLOW__API__INSTANCE_NAME": "my shop",
        "AIRFLOW__API__PORT": "28181",
        "AIRFLOW__CORE__DAGS_FOLDER": "/my/dags",
        "AIRFLOW__CORE__TEST_CONNECTION": "Disabled",
        "AIRFLOW_VAR_COLOUR": "blue",
    }
    other = {
        "AIRFLOW_HOME": "/srv/airflow",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://production",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": "cat secret",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": "trackingmore://:real-key@",
    }
    for name, value in {**own, **other}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRACKINGMORE_API_KEY", "real-key")

    airflow = settings(tmp_path, user_settings=True, ignored={"AIRFLOW_CONN_TRACKINGMORE_DEFAULT"})

    assert own.items() <= airflow.environment.items()
    assert airflow.url == "http://127.0.0.1:28181"
    assert airflow.dags_folder == "/my/dags"
    assert airflow.ignored_settings == sorted(other)
    assert airflow.environment["AIRFLOW_HOME"] == str(tmp_path / "home")
    assert "sqlite" in airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert not any("real-key" in value or "production" in value for value in airflow.environment.values())
    demo = settings(tmp_path)
    assert demo.dags_folder == str(DAGS)
    assert not any(demo.environment.get(name) == value for name, value in {**own, **other}.items())


def test_the_log_has_each_line_of_each_component_whole_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "airflow.py").write_text(TALKATIVE, encoding="utf-8")  # what the components run in Airflow's place
    file = tmp_path / "demo.log"
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONUNBUFFERED": ""}
    with file.open("w", encoding="utf-8") as log, Airflow(tmp_path / "home", log, environment) as airflow:
        until = time.monotonic() + 300
        while not all((airflow.home / f"{component}.over").exists() for component in COMPONENTS):
            assert time.monotonic() < until
            time.sleep(0.05)

    lines = [line.split(" | ") for line in file.read_text(encoding="utf-8").splitlines()]
    for component in COMPONENTS:
        written = [text for name, text in lines if name.strip() == component]
        assert written == [f"{n} {'parcels of Zoë Łęcka' * (n % 13)}" for n in range(LINES)]


def test_nobody_is_given_the_port_of_a_component_while_it_starts() -> None:
    given_to_anybody = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not given_to_anybody.exists():
        pytest.skip("only Linux tells which ports those are")
    first = int(given_to_anybody.read_text().split()[0])
    assert all(1024 < free_port() < first for _ in range(100))
