"""The benchmark of the page runs to its end, at a small size. The measurements are not checked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from airflow import __version__

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(tuple(map(int, __version__.split(".")[:2])) < (3, 1), reason="pages exist from Airflow 3.1 on"),
]


def test_page() -> None:
    command = [sys.executable, "-m", "benchmarks.page", "--waits", "60"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3_000:]
    rows = [line for line in done.stdout.splitlines() if line.endswith(" ms")]
    assert [row[:28].strip() for row in rows][:2] == ["index filled", "first page"]
