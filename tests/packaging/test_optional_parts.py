"""Without extras and optional parts of Airflow, all of the package can be imported but what serves HTTP requests."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from airflow import __version__

import airflow_provider_trackingmore

PACKAGE = Path(airflow_provider_trackingmore.__file__).parent
EXTRAS = ("fastapi", "starlette", "uvicorn", "redis")
FORMS_OF_AIRFLOW_2 = ("flask_appbuilder", "flask_babel", "wtforms")
WITHOUT = """
import importlib, sys

missing, modules = (text.split() for text in sys.argv[1:])
sys.modules.update(dict.fromkeys(missing))  # None: importing it is an ImportError
for module in modules:
    importlib.import_module(module)
"""

SERVER = {
    f"airflow_provider_trackingmore.sandbox.{name}" for name in ("app", "control_api", "gateway", "routes", "server")
}
"""Modules that the extra ``sandbox`` is for; the process that runs them, its command line and the fixture are not."""

PAGE = {
    f"airflow_provider_trackingmore.plugins.page.{name}" for name in ("access", "app", "errors", "routes", "wait_index")
}
"""Modules for the API server of Airflow, which brings FastAPI."""


needs_pages = pytest.mark.skipif(
    tuple(map(int, __version__.split(".")[:2])) < (3, 1), reason="the page exists from Airflow 3.1 on"
)


def modules() -> list[str]:
    parts = [path.relative_to(PACKAGE.parent).with_suffix("").parts for path in sorted(PACKAGE.rglob("*.py"))]
    return [".".join(part for part in names if part != "__init__") for names in parts if names[-1] != "__main__"]


def imported(names: list[str], missing: tuple[str, ...]) -> str:
    """Import them in a process of its own, and return what went wrong."""
    command = [sys.executable, "-c", WITHOUT, " ".join(missing), " ".join(names)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stderr


def test_a_plain_installation_imports_every_module_but_those_of_the_sandbox_server_and_the_page() -> None:
    names = [name for name in modules() if name not in SERVER | PAGE]
    assert len(names) > 80
    error = imported(names, EXTRAS + FORMS_OF_AIRFLOW_2)
    assert "Error" not in error, error


@pytest.mark.parametrize("module", sorted(SERVER))
def test_the_sandbox_server_needs_its_extra_and_nothing_else(module: str) -> None:
    assert "ModuleNotFoundError" in imported([module], EXTRAS)
    error = imported([module], ("redis", *FORMS_OF_AIRFLOW_2, "airflow"))
    assert "Error" not in error, error


@needs_pages
@pytest.mark.parametrize("module", sorted(PAGE))
def test_each_module_of_the_page_needs_fastapi(module: str) -> None:
    assert "ModuleNotFoundError" in imported([module], EXTRAS)


@needs_pages
def test_the_page_needs_no_extra() -> None:
    error = imported(sorted(PAGE), ("redis", *FORMS_OF_AIRFLOW_2))
    assert "Error" not in error, error


def test_the_package_itself_imports_nothing() -> None:
    check = "import sys; before = {*sys.modules}; import airflow_provider_trackingmore; print({*sys.modules} - before)"
    command = [sys.executable, "-S", "-c", check]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert ast.literal_eval(done.stdout) <= {"airflow_provider_trackingmore", "__future__"}
