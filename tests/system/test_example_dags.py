"""What holds for all example DAGs: they use the whole package, and importing them does nothing else."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import BaseOperator

import airflow_provider_trackingmore.operators
import airflow_provider_trackingmore.sensors

from .conftest import ROOT

EXAMPLES = sorted((ROOT / "example_dags").glob("*.py"))
IMPORTING = """
import os, runpy, sys
import airflow.models, airflow.providers.common.compat.sdk  # Airflow may read its own settings; the DAG may not
touched = []
def watch(event, arguments):
    network = event in ("socket.connect", "socket.getaddrinfo", "sqlite3.connect")
    written = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    # Python keeps what it compiled; what Airflow 2.11 brings along looks at files that hold nothing.
    name = str(arguments[0])
    harmless = name == os.devnull or name.endswith(".pyc") or "__pycache__" in name
    if network or (written and not harmless):
        touched.append((event, str(arguments[0])))
from airflow.providers.common.compat.sdk import BaseHook
def refuse(*_, **__):
    raise AssertionError("a connection was asked for")
BaseHook.get_connection = refuse
sys.addaudithook(watch)
runpy.run_path(sys.argv[1])
assert not touched, touched
"""


def concrete_classes() -> set[str]:
    found = set()
    for package in (airflow_provider_trackingmore.operators, airflow_provider_trackingmore.sensors):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            found |= {
                name
                for name, one in vars(importlib.import_module(module.name)).items()
                if inspect.isclass(one)
                and issubclass(one, BaseOperator)
                and one.__module__ == module.name
                and name.endswith(("Operator", "Sensor"))
            }
    return found


def called(file: Path) -> set[str]:
    calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    return {call.func.id for call in calls if isinstance(call.func, ast.Name)}


def test_every_operator_and_sensor_is_used_in_an_example() -> None:
    classes = concrete_classes()
    assert len(classes) > 10, "the search finds the package's classes"
    assert classes - set().union(*map(called, EXAMPLES)) == set()


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_importing_an_example_needs_no_network_no_database_and_no_connection(file: Path, tmp_path: Path) -> None:
    """In a home without a database, without any connection; the process watches itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN_")}
    environment |= {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/none.db",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run([sys.executable, "-c", IMPORTING, str(file)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_tagged_named_after_its_file_and_its_blocks_are_closed(file: Path) -> None:
    source = file.read_text()
    assert 'tags=["example"]' in source
    assert f"\n{file.stem}()\n" in source
    assert re.findall(r"# \[START (\w+)\]", source) == re.findall(r"# \[END (\w+)\]", source)
