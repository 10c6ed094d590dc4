"""The sandbox shares no code with the client: shared code would share its mistakes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import airflow_provider_trackingmore.sandbox as package

MODULES = sorted(Path(package.__file__).parent.glob("*.py"))


def imported(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_imports_nothing_from_other_parts_of_the_package(module):
    for name in imported(module):
        assert not name.startswith(("..", "airflow"))


def test_the_modules_are_found():
    assert len(MODULES) > 20
    assert {".state", "uvicorn"} <= {name for module in MODULES for name in imported(module)}
