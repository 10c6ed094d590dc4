"""The DAG of the README, as a new user would paste it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import ROOT

pytestmark = pytest.mark.system


def test_the_first_dag_of_the_readme_runs_as_it_stands(
    fast_sandbox: SandboxProcess, run_dag: Callable[[str, Path], str], tmp_path: Path
) -> None:
    block = re.search(r"<!-- first_parcels.*?-->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    (tmp_path / "first_parcels.py").write_text(block[1])

    log = run_dag("first_parcels", tmp_path)

    assert re.search(r"SBX-DELIVERED-1D-FIRST delivered 20\d\d-", log), log
    assert re.search(r"SBX-DELIVERED-2D-SECOND delivered 20\d\d-", log), log
