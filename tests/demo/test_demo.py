"""``make demo`` itself: a whole Airflow for a few orders, and what is left when it is interrupted."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

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
    command = [sys.executable, "-m", "example_dags.demo"]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def row(name: str, output: str) -> list[str]:
    found = re.search(rf"^[^\w\n]*{name}\b.*$", output, re.MULTILINE)
    assert found is not None, output
    return [cell.strip() for cell in re.split(r"[│|]", found[0]) if cell.strip()]


def test_the_demo_closes_the_orders_and_counts_both_sides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    demo = start(monkeypatch, tmp_path)
    output, _ = demo.communicate(timeout=240)

    assert demo.returncode == 0, output
    assert "nobody is here to ask" in output, "with a key but without a terminal it must not go to the real service"
    assert row("A", output)[1:3] == ["2", "delivered"]
    assert row("B", output)[1:3] == ["1", "gls SBX-EXCEPTION-1D-B1 exception"]
    assert row("C", output)[2].startswith("dhll SBX-DELIVERED-1D-C1 refused")
    ours, naive = (int(cell) for cell in row("all", output)[1:])
    assert 0 < ours < naive
    log = next(tmp_path.glob("trackingmore-demo-*/demo.log"))
    assert f"Log: {log}" in output.replace("\n", "")
    assert "scheduler" in log.read_text()
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"a-key-that-is-not-to-be-seen" not in file.read_bytes(), file


def test_an_interrupted_demo_leaves_no_process_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    demo = start(monkeypatch, tmp_path)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "DAG order_closing runs" in line:
            break
    started = psutil.Process(demo.pid).children(recursive=True)
    assert len(started) > 5, "the sandbox, the components and their children"

    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=60)

    assert demo.returncode == 130
    assert psutil.wait_procs(started, timeout=10)[1] == []
