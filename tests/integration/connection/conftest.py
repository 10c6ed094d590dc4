"""Airflow as a process of its own: the installed version with the package, and a separate home and database."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.distribution import DISTRIBUTION, ROOT, write_distribution

__all__ = ["ROOT"]

VERSION = tuple(map(int, metadata.version("apache-airflow").split(".")[:2]))


@pytest.fixture(scope="session")
def airflow_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that finds this package and an Airflow with a database."""
    home = tmp_path_factory.mktemp("airflow")
    path = [str(ROOT)]
    try:
        metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        write_distribution(home / "installed")
        path.insert(0, str(home / "installed"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TRACKINGMORE_"))}
    environment = {
        **kept,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONWARNINGS": "ignore",
    }
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=environment,
        cwd=home,
        check=True,
        capture_output=True,
        timeout=900,
    )
    return environment
