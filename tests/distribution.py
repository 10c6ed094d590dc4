"""The files by which Airflow finds the provider where the package is not installed, only on the path."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DISTRIBUTION = "airflow-provider-trackingmore"


def write_distribution(folder: Path) -> None:
    """Write what an installation leaves for ``importlib.metadata``, with the entry point from pyproject.toml.

    :param folder: a folder that the process has on its path; created if needed.
    """
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    (entry_point,) = (line.replace('"', "") for line in lines if line.startswith("provider_info = "))
    info = folder / f"{DISTRIBUTION.replace('-', '_')}-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 0.0.0\n")
    (info / "entry_points.txt").write_text(f"[apache_airflow_provider]\n{entry_point}\n")
