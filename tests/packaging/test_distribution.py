"""The contents of wheel and sdist, which are built here. None of their code is run."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import airflow_provider_trackingmore

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "airflow_provider_trackingmore"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob("*.whl")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return Parser().parsestr(wheel.read(_info(wheel, "METADATA")).decode())


def _info(wheel: zipfile.ZipFile, name: str) -> str:
    return next(member for member in wheel.namelist() if member.endswith(f".dist-info/{name}"))


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    members = {name for name in wheel.namelist() if ".dist-info/" not in name}
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / PACKAGE).rglob("*") if path.is_file()}
    assert members == {name for name in sources if "__pycache__" not in name}
    assert f"{PACKAGE}/py.typed" in members
    assert {f"{PACKAGE}/plugins/page/static/{name}" for name in ("index.html", "task.html")} <= members


def test_the_sdist_contains_only_the_package_and_its_documents(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        below = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    papers = {name for name in below if not name.startswith(f"{PACKAGE}/")}
    assert papers == {".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert f"{PACKAGE}/py.typed" in below


def test_the_metadata_is_what_a_catalogue_of_providers_looks_for(metadata: Message) -> None:
    assert metadata["Name"] == "airflow-provider-trackingmore"
    assert metadata["Version"] == airflow_provider_trackingmore.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "airflow-provider" in metadata["Keywords"].split(",")
    classifiers = metadata.get_all("Classifier") or []
    assert {"Framework :: Apache Airflow", "Framework :: Apache Airflow :: Provider", "Typing :: Typed"} <= {
        *classifiers
    }


def test_every_dependency_has_a_lower_bound_and_none_an_upper_one(metadata: Message) -> None:
    requirements = metadata.get_all("Requires-Dist") or []
    assert requirements
    for requirement in requirements:
        assert re.fullmatch(r"[a-z0-9-]+>=[0-9.]+(; extra == '\w+')?", requirement), requirement


def test_extras_are_for_users_and_contain_no_development_tools(metadata: Message) -> None:
    assert metadata.get_all("Provides-Extra") == ["parquet", "redis", "sandbox", "sql"]


def test_the_wheel_contains_the_licence(wheel: zipfile.ZipFile) -> None:
    assert b"Apache License" in wheel.read(_info(wheel, "licenses/LICENSE"))


def test_each_entry_point_can_be_loaded(wheel: zipfile.ZipFile) -> None:
    groups = configparser.ConfigParser()
    groups.read_string(wheel.read(_info(wheel, "entry_points.txt")).decode())
    assert groups.sections() == ["console_scripts", "airflow.plugins", "apache_airflow_provider", "pytest11"]
    provider_info = EntryPoint("provider_info", groups["apache_airflow_provider"]["provider_info"], "-").load()
    assert provider_info()["package-name"] == "airflow-provider-trackingmore"
    plugin = EntryPoint("trackingmore", groups["airflow.plugins"]["trackingmore"], "-").load()
    assert plugin.name == "trackingmore"
    assert callable(EntryPoint("cli", groups["console_scripts"]["trackingmore-airflow"], "-").load())
    assert EntryPoint("trackingmore_sandbox", groups["pytest11"]["trackingmore_sandbox"], "-").load()


CONSTRAINTS = [
    "constraints.txt",
    *(f".ci/constraints-airflow-{version}.txt" for version in ("2.11", "3.0", "3.1", "3.2")),
]


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_the_constraints_pin_versions_and_name_no_address(name: str) -> None:
    for line in (ROOT / name).read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==[\w.+!]+( ; .+)?", line), line
