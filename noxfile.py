"""The test suite on every supported Airflow and Python. ``make test-matrix`` calls it.

- ``nox --list`` shows the cells.
- ``nox --tags 3.2.2:3.11 lowest`` runs some of them: AIRFLOW:PYTHON, AIRFLOW or :PYTHON.
- ``nox --tags lowest -- tests/unit -k pacing`` runs other tests than the default ones.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

# Each Airflow, with the Pythons that it supports. The newest one is pinned in constraints.txt.
AIRFLOWS = {
    "2.11.2": ("3.11", "3.12"),
    "3.0.6": ("3.11", "3.12"),
    "3.1.8": ("3.11", "3.12", "3.13"),
    "3.2.2": ("3.11", "3.12", "3.13"),
    "3.3.2": ("3.11", "3.12", "3.13"),
    "lowest": ("3.11",),  # the lowest version of each dependency that pyproject.toml declares
}
TESTS = ("tests/unit", "tests/contract", "tests/integration", "tests/upgrades", "tests/sandbox")

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False

# pyenv's shims only work for the versions that it has activated. Prefer the interpreters themselves.
_pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
os.environ["PATH"] = os.pathsep.join([*map(str, sorted(_pyenv.glob("3.1[1-3].*/bin"))), os.environ.get("PATH", "")])

CELLS = [
    nox.param(python, airflow, id=f"{airflow}:{python}", tags=[airflow, f":{python}", f"{airflow}:{python}"])
    for airflow, pythons in AIRFLOWS.items()
    for python in pythons
]


@nox.session
@nox.parametrize("python,airflow", CELLS)
def tests(session: nox.Session, airflow: str) -> None:
    """Run the tests on one Airflow and one Python."""
    requirement = "apache-airflow" if airflow == "lowest" else f"apache-airflow=={airflow}"
    constraints = _lowest(session) if airflow == "lowest" else _constraints(airflow)
    session.install(
        "--constraints", constraints, "--editable", ".[sandbox,redis]", requirement,
        "apache-airflow-providers-sqlite", "--group", "test",
    )  # fmt: skip
    session.run(
        "python", "-m", "pytest", "-q", "-n", "logical", "--maxprocesses", "4", "--dist", "loadfile",
        "-o", f"cache_dir={session.create_tmp()}/pytest", *(session.posargs or TESTS),
    )  # fmt: skip


@nox.session
def fab(session: nox.Session) -> None:
    """Who sees what on the page "Shipments" with the FAB auth manager."""
    session.install("--constraints", "constraints.txt", "--editable", ".[sandbox]", "--group", "test", "--group", "fab",
                    "apache-airflow-providers-sqlite")  # fmt: skip
    session.run("python", "-m", "pytest", "-q", "-m", "", "tests/system/test_page_fab.py", *session.posargs)


@nox.session
@nox.parametrize("airflow", ["2.11.2", "3.3.2"])
def forms(session: nox.Session, airflow: str) -> None:
    """Take the pictures of the connection form for docs/connection.md, with the Chromium of the machine."""
    session.install("--constraints", _constraints(airflow), "--editable", ".", f"apache-airflow=={airflow}",
                    "apache-airflow-providers-sqlite", "--group", "page")  # fmt: skip
    session.run("python", "-m", "tests.page.connection_form", "docs/images")


def _constraints(airflow: str) -> str:
    pinned = Path(f".ci/constraints-airflow-{airflow.rpartition('.')[0]}.txt")
    return str(pinned) if pinned.exists() else "constraints.txt"


def _lowest(session: nox.Session) -> str:
    """Resolve the lowest version of each direct dependency; return the file with the result."""
    folder = Path(session.create_tmp())
    # Airflow 2.11.0 accepts any universal-pathlib but only works with 0.2. Later releases declare that.
    (folder / "lowest.in").write_text("universal-pathlib<0.3\n")
    session.run(
        "uv", "pip", "compile", "--quiet", "--resolution", "lowest-direct", "--python", str(session.python),
        "--extra", "sandbox", "--extra", "redis", "--no-header", "--no-annotate", "--no-emit-index-url",
        "--constraints", str(folder / "lowest.in"), "--output-file", str(folder / "lowest.txt"), "pyproject.toml",
        silent=True,
    )  # fmt: skip
    return str(folder / "lowest.txt")
