"""The suites that only ``make test-chaos`` and ``make test-scale`` run can at least be collected."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from airflow import __version__

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(int(__version__.split(".")[0]) < 3, reason="they need Airflow 3")
def test_the_suites_that_run_on_demand_can_be_collected() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    files = sorted(set(re.findall(r"tests/(?:chaos|scale)/\w+\.py", makefile)))
    assert len(files) >= 7
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
