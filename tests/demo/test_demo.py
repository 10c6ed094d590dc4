"""``make demo`` itself: a whole Airflow for a few orders, and what is left when it is interrupted."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from airflow_provider_trackingmore.sandbox.process import _KEYS_VARIABLE
from tests.system.conftest import files_holding

pytestmark = pytest.mark.system
ROOT = Path(__file__).resolve().parents[2]
ORDERS = """order_id,carrier_code,tracking_number
A,dhl,SBX-DELIVERED-1D-A1
A,ups,SBX-DELIVERED-2D-A2
B,gls,SBX-EXCEPTION-1D-B1
C,dhll,SBX-DELIVERED-1D-C1
"""


def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> subprocess.Popen[str]:
    (tmp_path / "orders.csv").write_text(ORDERS)
    monkeypatch.setenv("ORDERS", str(tmp_path / "orders.csv"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("TRACKINGMORE_API_KEY", "a-key-that-is-not-to-be-seen")
    command = [sys.executable, "-m", "demo"]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def row(name: str, output: str) -> list[str]:
    found = re.search(rf"^[^\w\n]*{name}\b.*$", output, re.MULTILINE)
    assert found is not None, output
    return [cell.strip() for cell in re.split(r"[│|]", found[0]) if cell.strip()]


class Search(threading.Thread):
    """Looks again and again, while the demo runs, which of its files hold a key of its sandbox."""

    def __init__(self, demo: subprocess.Popen[str], folder: Path) -> None:
        super().__init__(daemon=True)
        self.demo = demo
        self.folder = folder
        self.holding_a_key: set[str] = set()
        self.holding_a_parcel: set[str] = set()

    def run(self) -> None:
        keys: list[str] = []
        while self.demo.poll() is None:
            with contextlib.suppress(psutil.Error):
                keys = keys or self.made_up()
            if keys:
                self.holding_a_key.update(files_holding(self.folder, *keys, "a-key-that-is-not-to-be-seen"))
                self.holding_a_parcel.update(files_holding(self.folder, "SBX-DELIVERED-1D-A1"))
            time.sleep(2)

    def made_up(self) -> list[str]:
        for process in psutil.Process(self.demo.pid).children(recursive=True):
            if "airflow_provider_trackingmore.sandbox" in process.cmdline():
                made_up: list[str] = json.loads(process.environ()[_KEYS_VARIABLE])
                return made_up
        return []


def test_the_demo_closes_the_orders_and_counts_both_sides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    demo = start(monkeypatch, tmp_path)
    search = Search(demo, tmp_path)
    search.start()
    output, _ = demo.communicate(timeout=900)
    search.join()

    assert demo.returncode == 0, output
    assert "nobody is here to ask" in output, "with a key but without a terminal it must not go to the real service"
    assert row("A", output)[1:3] == ["2", "delivered"]
    assert row("B", output)[1:3] == ["1", "gls SBX-EXCEPTION-1D-B1 exception"]
    assert row("C", output)[2].startswith("dhll SBX-DELIVERED-1D-C1 refused")
    ours, naive = (int(cell) for cell in row("all", output)[1:])
    assert 0 < ours < naive
    log = next(tmp_path.glob("trackingmore-demo-*/demo.log"))
    assert f"Log: {log}" in output.replace("\n", "")
    assert "scheduler" in log.read_text(encoding="utf-8")
    assert search.holding_a_key == set()
    places = " ".join(search.holding_a_parcel)
    assert all(place in places for place in ("airflow.db", "airflow/logs", "demo.log")), "it would have found a key"


def test_an_interrupted_demo_leaves_no_process_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    demo = start(monkeypatch, tmp_path)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "DAG order_closing runs" in line:
            break
    started = psutil.Process(demo.pid).children(recursive=True)
    assert len(started) > 5, "the sandbox, the components and their children"

    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=120)

    assert demo.returncode == 130
    assert psutil.wait_procs(started, timeout=60)[1] == []
