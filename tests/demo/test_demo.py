"""``make demo`` itself: a whole Airflow for a few orders, and what is left after it or after an interrupt."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from airflow_provider_trackingmore.sandbox.cli import KEYS_VARIABLE
from tests.system.conftest import files_holding

pytestmark = [pytest.mark.system, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "demo"]
REAL_KEY = "a-key-that-must-not-be-seen"
ORDERS = """order_id;carrier_code;tracking_number
A;dhl;SBX-DELIVERED-1D-A1
A;ups;SBX-DELIVERED-2D-A2
B;gls;SBX-EXCEPTION-1D-B1
C;dhll;SBX-DELIVERED-1D-C1
A;dhl;SBX-DELIVERED-1D-A1
"""


@pytest.fixture(autouse=True)
def _no_demo_is_left() -> Iterator[None]:
    """Interrupt a demo that a failed test has left running; it stops what it has started."""
    yield
    for child in psutil.Process().children():
        if child.cmdline()[1:3] == COMMAND[1:]:
            child.send_signal(signal.SIGINT)
            child.wait(60)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder for temporary files; the environment of the demo is set."""
    (tmp_path / "orders.csv").write_text(ORDERS)
    monkeypatch.setenv("ORDERS", str(tmp_path / "orders.csv"))
    monkeypatch.setenv("TRACKINGMORE_API_KEY", REAL_KEY)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("TRACKINGMORE_PACING_DIR", raising=False)
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_sigint,
    )


def heed_sigint() -> None:
    """Undo what shells do to jobs in the background: their children ignore SIGINT until they set a handler."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def row(name: str, output: str) -> list[str]:
    found = re.search(rf"^[^\w\n]*{name}\b.*$", output, re.MULTILINE)
    assert found is not None, output
    return [cell.strip() for cell in re.split(r"[│|]", found[0]) if cell.strip()]


def sandbox_keys(demo: subprocess.Popen[str]) -> list[str]:
    """Wait for the sandbox of the demo, and read its API keys."""
    while demo.poll() is None:
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(demo.pid).children():
                if "airflow_provider_trackingmore.sandbox" in process.cmdline():
                    keys: list[str] = json.loads(process.environ()[KEYS_VARIABLE])
                    return keys
        time.sleep(0.05)
    raise AssertionError("the demo has exited before it started a sandbox")


def test_the_demo_closes_the_orders_and_sums_up(temporary: Path) -> None:
    picture = temporary.parent / "demo.svg"
    demo = start("--keep", "--picture", str(picture))
    keys = sandbox_keys(demo)
    output, _ = demo.communicate(timeout=900)

    assert demo.returncode == 0, output
    assert "without a terminal the demo always uses the sandbox" in output
    assert "The sandbox invents every journey, status and date" in output
    assert "Skipped: line 6 repeats line 2: A dhl SBX-DELIVERED-1D-A1" in output
    assert row("A", output)[1:3] == ["2", "delivered"]
    assert datetime.fromisoformat(row("A", output)[3]).replace(tzinfo=UTC) < datetime.now(UTC)
    assert row("B", output)[1:3] == ["1", "gls SBX-EXCEPTION-1D-B1: delivery exception"]
    assert row("C", output)[1:3] == ["1", "dhll SBX-DELIVERED-1D-C1: unknown carrier"]
    dag, naive = (int(cell) for cell in row("total", output)[1:])
    assert 0 < dag < naive
    assert f"\n1 delivered, 2 on hold, {dag} calls instead of {naive}\n" in output
    assert "first load: 3 new, 0 unchanged, 1 call\n" in output
    assert "second load: 0 new, 3 unchanged, 2 calls\n" in output
    carrier, *_, measured, p50, p90 = row("dhl", output)
    assert (carrier, measured) == ("dhl", "1"), "a lane: the rejected parcel was not loaded"
    assert 0 < float(p50) == float(p90) < 3
    assert row("gls", output) == ["gls", "1", "0%", "100%", "0%", "0%"]
    assert all(line.isprintable() for line in output.splitlines()), "FORCE_COLOR must not change that"
    assert "://" not in output, "nothing listens there any more"
    assert "polling&#160;one&#160;by&#160;one" in picture.read_text(encoding="utf-8")

    (folder,) = temporary.iterdir()
    assert f"Logs and databases: {folder}" in output
    log = (folder / "demo.log").read_text(encoding="utf-8")
    assert {line.partition(" ")[0] for line in log.splitlines()} >= {"scheduler", "api-server", "triggerer"}
    assert files_holding(folder, *keys, REAL_KEY) == []
    places = " ".join(files_holding(folder, "SBX-DELIVERED-1D-A1"))
    assert all(place in places for place in ("airflow.db", "airflow/logs", "orders.db")), "it would have found a key"


def when_started(demo: subprocess.Popen[str]) -> None:
    """As soon as it has a process."""


def when_airflow_starts(demo: subprocess.Popen[str]) -> None:
    wait_for_output(demo, "Starting Airflow")
    while len(psutil.Process(demo.pid).children()) < 3:
        time.sleep(0.05)


def when_the_dag_runs(demo: subprocess.Popen[str]) -> None:
    wait_for_output(demo, "DAG order_closing started")


def wait_for_output(demo: subprocess.Popen[str], text: str) -> None:
    assert demo.stdout is not None
    assert any(text in line for line in demo.stdout), f"the demo has exited without {text!r}"


@pytest.mark.parametrize("moment", [when_started, when_airflow_starts, when_the_dag_runs])
def test_an_interrupted_demo_leaves_nothing_behind(
    temporary: Path, moment: Callable[[subprocess.Popen[str]], None]
) -> None:
    demo = start()
    moment(demo)
    started = psutil.Process(demo.pid).children(recursive=True)

    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate(timeout=120)

    python_was_starting = demo.returncode == -signal.SIGINT or "Fatal Python error: init_import_site" in output
    if moment is when_started and python_was_starting:
        return  # or importing the program
    assert demo.returncode == 130, output
    assert "Traceback" not in output
    assert psutil.wait_procs(started, timeout=60)[1] == []
    assert [*temporary.iterdir()] == []


class Terminal:
    """The demo in a terminal of 80 columns; collects what it writes there."""

    def __init__(self, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "40"}
        environment.pop("TRACKINGMORE_API_KEY")
        self.demo = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=ROOT,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            preexec_fn=lambda: take_terminal(slave),
        )
        os.close(slave)
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the other side is closed
            while data := os.read(self.master, 65_536):
                self.output += data.decode(errors="replace")

    def wait_for(self, text: str) -> None:
        while text not in self.output:
            assert self.demo.poll() is None, self.output
            time.sleep(0.05)

    def press_ctrl_c(self) -> None:
        os.write(self.master, b"\x03")

    def close(self) -> None:
        self._reader.join(10)
        os.close(self.master)


def take_terminal(terminal: int) -> None:
    """Become the foreground process of the terminal, so that Ctrl-C reaches it."""
    heed_sigint()
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def test_ctrl_c_in_a_terminal_stops_the_demo_and_restores_the_cursor(temporary: Path) -> None:
    terminal = Terminal()
    terminal.wait_for("Starting Airflow")
    started = psutil.Process(terminal.demo.pid).children(recursive=True)

    terminal.press_ctrl_c()
    terminal.press_ctrl_c()
    code = terminal.demo.wait(120)
    terminal.close()

    assert code == 130, terminal.output
    assert terminal.output.rindex("\x1b[?25h") > terminal.output.rindex("\x1b[?25l"), "the cursor is shown again"
    assert "Traceback" not in terminal.output
    assert terminal.output.rstrip().endswith("Stopped.")
    assert psutil.wait_procs(started, timeout=60)[1] == []
    assert [*temporary.iterdir()] == []
