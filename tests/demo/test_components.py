"""The components of ``make demo``: their ports, and the log to which they write at the same time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from demo.components import COMPONENTS, Airflow, free_port

LINES = 30_000
TALKATIVE = f"""
import pathlib, sys
if sys.argv[1] != "db":
    for n in range({LINES}):
        print(n, "parcels of Zoë Łęcka" * (n % 13))
    sys.stdout.flush()
    pathlib.Path(sys.argv[1] + ".over").touch()
"""


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
