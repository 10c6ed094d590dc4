"""The provider's metadata: valid for the installed Airflow, and in agreement with the modules on disk."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

import airflow_provider_trackingmore
from airflow_provider_trackingmore.get_provider_info import CONNECTION_TYPE, get_provider_info
from tests.distribution import DISTRIBUTION, write_distribution

PACKAGE = Path(airflow_provider_trackingmore.__file__).parent
INFO = get_provider_info()


def schema(name: str) -> Any:
    found = [Path(folder) / name for folder in airflow.__path__ if (Path(folder) / name).exists()]
    if not found:
        pytest.skip(f"this Airflow has no {name}")
    return json.loads(found[0].read_text(encoding="utf-8"))


def test_airflow_accepts_the_metadata() -> None:
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


def test_airflow_accepts_the_connection_type_with_its_fields() -> None:
    rules = schema("provider.yaml.schema.json")
    connection_types = rules["properties"]["connection-types"]
    if "conn-fields" not in connection_types["items"]["properties"]:
        pytest.skip("this Airflow reads no fields of a connection from the metadata")
    jsonschema.validate(INFO["connection-types"], {**connection_types, "definitions": rules.get("definitions", {})})


def test_every_field_of_the_form_may_be_empty() -> None:
    for field in CONNECTION_TYPE["conn-fields"].values():
        jsonschema.Draft202012Validator.check_schema(field["schema"])
        jsonschema.validate(None, field["schema"])


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_the_metadata_lists_exactly_the_modules_with_public_classes(kind: str) -> None:
    listed = {module for entry in INFO[kind] for module in entry["python-modules"]}
    ending = kind.removesuffix("s").capitalize()
    on_disk = set()
    for path in (PACKAGE / kind).glob("*.py"):
        name = f"{PACKAGE.name}.{kind}.{path.stem}"
        classes = inspect.getmembers(importlib.import_module(name), inspect.isclass)
        public = (cls for _, cls in classes if not cls.__name__.endswith(f"Base{ending}"))
        if any(cls.__module__ == name and cls.__name__.endswith(ending) for cls in public):
            on_disk.add(name)
    assert listed == on_disk


def test_the_metadata_lists_exactly_the_transfers_on_disk() -> None:
    listed = [entry["python-module"] for entry in INFO["transfers"]]
    on_disk = [f"{PACKAGE.name}.transfers.{path.stem}" for path in (PACKAGE / "transfers").glob("trackingmore_to_*.py")]
    assert sorted(listed) == sorted(on_disk)
    for name in listed:
        module = importlib.import_module(name)
        assert any(name.startswith("TrackingMoreTo") and name.endswith("Operator") for name in vars(module))


def test_every_class_in_the_metadata_can_be_imported() -> None:
    named = [CONNECTION_TYPE["hook-class-name"], *INFO.get("extra-links", ()), *INFO.get("cli", ())]
    named += [entry["trigger-class-name"] for entry in INFO.get("trigger-classes", ())]
    for name in named:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_every_part_belongs_to_a_listed_integration() -> None:
    integrations = {entry["integration-name"] for entry in INFO["integrations"]}
    parts = [entry for kind in ("hooks", "operators", "sensors", "triggers") for entry in INFO[kind]]
    assert {entry["integration-name"] for entry in parts} == integrations


def test_hook_and_metadata_agree_on_the_connection_type() -> None:
    module, _, name = CONNECTION_TYPE["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)
    assert (hook.conn_type, hook.hook_name) == (CONNECTION_TYPE["connection-type"], CONNECTION_TYPE["hook-name"])
    assert hook.conn_name_attr == "trackingmore_conn_id"
    assert hook.default_conn_name == "trackingmore_default"
    assert CONNECTION_TYPE["connection-type"] == "trackingmore"
    assert INFO["package-name"] == DISTRIBUTION


def test_reading_the_metadata_imports_nothing_else_of_the_package() -> None:
    script = (
        "import sys, airflow_provider_trackingmore.get_provider_info as it; it.get_provider_info();"
        "print(*sorted(name for name in sys.modules if name.startswith(('airflow', 'requests', 'pendulum'))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment())
    assert done.stdout.split() == [PACKAGE.name, f"{PACKAGE.name}.get_provider_info"]


MANAGER = """
import json, logging, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from airflow.providers_manager import ProvidersManager

manager = ProvidersManager()
data = manager.providers["airflow-provider-trackingmore"].data
hook = dict(manager.hooks.items())["trackingmore"]
widgets = [name for name in manager.connection_form_widgets if "__trackingmore__" in name]
behaviour = manager.field_behaviours.get("trackingmore")
print(json.dumps([data["name"], hook.hook_class_name, hook.connection_testable, widgets, behaviour]))
"""


def test_airflow_finds_the_provider_and_builds_its_form_without_a_warning(tmp_path: Path) -> None:
    try:
        metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        write_distribution(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", MANAGER],
        capture_output=True,
        text=True,
        env=environment(tmp_path) | {"AIRFLOW_HOME": str(tmp_path / "home")},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "trackingmore" in line.lower()]
    name, hook_class, testable, widgets, behaviour = json.loads(
        lines.pop(next(at for at, line in enumerate(lines) if line.startswith('["')))
    )
    assert (name, hook_class, testable) == ("TrackingMore", CONNECTION_TYPE["hook-class-name"], True)
    if lines and not widgets and importlib.util.find_spec("flask_appbuilder") is None:
        # Airflow 3.0 and 3.1 build the form in the web server only (tests/integration/connection), and log that here.
        assert "'flask_appbuilder' package is not installed, however it is not required" in lines.pop()
        assert lines == []
        return
    assert lines == []
    assert {widget.rpartition("__")[2] for widget in widgets} == set(CONNECTION_TYPE["conn-fields"])
    assert behaviour["relabeling"] == CONNECTION_TYPE["ui-field-behaviour"]["relabeling"]
    assert behaviour["hidden_fields"] == CONNECTION_TYPE["ui-field-behaviour"]["hidden-fields"]


def environment(*folders: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
    return kept | {"PYTHONPATH": os.pathsep.join([*map(str, folders), str(PACKAGE.parent)])}
