"""What holds for all example DAGs: they use the whole package, and importing them does nothing else."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import BaseOperator

import airflow_provider_trackingmore.operators
import airflow_provider_trackingmore.sensors
from tests.warm_airflow import WarmAirflow

from .conftest import ROOT

EXAMPLES = sorted((ROOT / "example_dags").glob("*.py"))
IMPORT_WATCHED = Path(__file__).with_name("import_watched.py")


def concrete_classes() -> set[str]:
    found = set()
    for package in (airflow_provider_trackingmore.operators, airflow_provider_trackingmore.sensors):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            found |= {
                name
                for name, value in vars(importlib.import_module(module.name)).items()
                if inspect.isclass(value)
                and issubclass(value, BaseOperator)
                and value.__module__ == module.name
                and name.endswith(("Operator", "Sensor"))
                and not name.endswith("BaseOperator")
            }
    return found


def called(file: Path) -> set[str]:
    calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    return {call.func.id for call in calls if isinstance(call.func, ast.Name)}


def test_every_operator_and_sensor_is_used_in_an_example() -> None:
    classes = concrete_classes()
    assert len(classes) > 10, "the search finds the package's classes"
    assert classes - set().union(*map(called, EXAMPLES)) == set()


def test_the_folder_that_users_copy_from_holds_dag_files_and_the_orders_only() -> None:
    others = {path for path in (ROOT / "example_dags").iterdir() if path.name != "__pycache__"} - {*EXAMPLES}
    assert {path.name for path in others} == {"orders.csv"}
    assert [file for file in EXAMPLES if "dag" not in called(file)] == []


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_importing_an_example_needs_no_network_no_database_and_no_connection(
    file: Path, warm_airflow: WarmAirflow
) -> None:
    """Without any connection; the process watches itself."""
    connections = {name: "" for name in os.environ if name.startswith("AIRFLOW_CONN_")}
    done = warm_airflow.run(str(IMPORT_WATCHED), str(file), environment=connections | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "does",
    [
        "import sqlite3; sqlite3.connect(':memory:')",
        "import socket; socket.create_connection(('127.0.0.1', 9), 1)",
        "open('written', 'w')",
        "from airflow.providers.common.compat.sdk import BaseHook; BaseHook.get_connection('trackingmore_default')",
    ],
)
def test_one_that_does_more_would_be_noticed(does: str, tmp_path: Path, warm_airflow: WarmAirflow) -> None:
    (tmp_path / "example.py").write_text(f"import contextlib\nwith contextlib.suppress(OSError):\n    {does}\n")
    done = warm_airflow.run(str(IMPORT_WATCHED), str(tmp_path / "example.py"), cwd=tmp_path)
    assert (done.returncode, "AssertionError" in done.stdout) == (1, True), done.stdout


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_tagged_named_after_its_file_and_its_blocks_are_closed(file: Path) -> None:
    source = file.read_text()
    assert re.search(r'tags=\["example", "trackingmore", "\w+', source), "the third tag says what it is about"
    assert f"\n{file.stem}()\n" in source
    assert re.findall(r"# \[START (\w+)\]", source) == re.findall(r"# \[END (\w+)\]", source)
