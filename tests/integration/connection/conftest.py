"""Airflow as a process of its own: the installed version with the package, and a separate home and database."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
VERSION = tuple(map(int, metadata.version("apache-airflow").split(".")[:2]))


@pytest.fixture(scope="session")
def airflow_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that finds this package and an Airflow with a database."""
    home = tmp_path_factory.mktemp("airflow")
    path = [str(ROOT)]
    try:
        metadata.distribution("airflow-provider-trackingmore")
    except metadata.PackageNotFoundError:
        path.insert(0, str(as_if_installed(home / "installed")))
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


def as_if_installed(folder: Path) -> Path:
    """What an installation leaves for ``importlib.metadata``, with the entry point that pyproject.toml declares."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    (entry_point,) = (line for line in lines if line.startswith("provider_info = "))
    info = folder / "airflow_provider_trackingmore-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: airflow-provider-trackingmore\nVersion: 0.0.0\n")
    (info / "entry_points.txt").write_text("[apache_airflow_provider]\n" + entry_point.replace('"', "") + "\n")
    return folder
