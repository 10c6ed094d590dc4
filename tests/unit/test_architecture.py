"""The rules of the architecture: imports point one way, ``api`` has no I/O, and the sandbox shares no code."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

NAME = "airflow_provider_trackingmore"
ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / NAME

LAYERS = [
    {"api"},
    {"client"},
    {"loading"},
    {
        "events",
        "hooks",
        "metrics",
        "waiting",
        "links",
        "retry_policies",
        "serialization",
        "atomic_file",
        "status_reports",
        "variables",
    },
    {"operators", "plugins", "sensors", "transfers", "triggers"},
    {"cli", "__main__"},
]
"""From the bottom up; a part may use what is beside or below it."""

LAYER = {part: level for level, parts in enumerate(LAYERS) for part in parts}

IMPURE = {
    "asyncio", "concurrent", "ctypes", "fcntl", "ftplib", "http", "io", "multiprocessing", "os", "pathlib", "random",
    "sched", "secrets", "select", "selectors", "shutil", "signal", "socket", "socketserver", "sqlite3", "ssl",
    "subprocess", "tempfile", "threading", "time", "urllib.error", "urllib.request", "xmlrpc",
}  # fmt: skip
"""Modules of the standard library that reach a clock, a file, a socket, chance or another process."""


class Import(NamedTuple):
    file: Path
    importer: str
    target: str
    line: int
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.target}"


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports() -> tuple[Import, ...]:
    return tuple(found for name, path in modules().items() for found in _imports_of(name, path))


def _imports_of(name: str, path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, (base, node.module)))
            # "from package import module" imports the module; "from module import name" the module as well.
            targets = [
                f"{origin}.{alias.name}" if f"{origin}.{alias.name}" in modules() else origin for alias in node.names
            ]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            targets = [str(argument.value) for argument in node.args[:1] if isinstance(argument, ast.Constant)]
        else:
            continue
        for target in dict.fromkeys(targets):
            yield Import(path.relative_to(ROOT), name, target, getattr(node, "lineno", 0), id(node) in typing_only)


def part(module: str) -> str:
    """The subpackage (or single module of the package) that a module belongs to; empty for anything else."""
    names = module.split(".")
    return names[1] if names[0] == NAME and len(names) > 1 else ""


def is_ours(module: str) -> bool:
    return module == NAME or module.startswith(NAME + ".")


def show(wrong: list[Import]) -> str:
    return "\n  " + "\n  ".join(map(str, wrong))


def test_the_modules_of_the_package_are_found() -> None:
    assert {part(name) for name in modules()} >= {
        "api",
        "client",
        "hooks",
        "operators",
        "sensors",
        "transfers",
        "triggers",
    }
    assert any(found.target == f"{NAME}.api.errors" for found in imports())


def test_imports_between_parts_point_one_way() -> None:
    wrong = [
        found
        for found in imports()
        if part(found.importer) in LAYER and LAYER.get(part(found.target), -1) > LAYER[part(found.importer)]
    ]
    assert not wrong, "operators, sensors, triggers -> hooks, waiting -> client -> api, but:" + show(wrong)


def test_parts_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for found in imports():
        if not found.typing_only and part(found.importer) in LAYER and part(found.target) in LAYER:
            graph.setdefault(part(found.importer), set()).add(part(found.target))
    for name, used in graph.items():
        used.discard(name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"parts of the package use each other in a circle: {' -> '.join(error.args[1])}")


def test_api_uses_nothing_but_itself_and_pure_parts_of_the_standard_library() -> None:
    def is_pure(target: str) -> bool:
        if is_ours(target):
            return part(target) == "api"
        top = target.partition(".")[0]
        return top in sys.stdlib_module_names and not {top, target} & IMPURE

    wrong = [found for found in imports() if part(found.importer) == "api" and not is_pure(found.target)]
    assert not wrong, "api is pure data, without sockets, files, clock, sleep or Airflow, but:" + show(wrong)


def test_api_never_reads_the_clock() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} calls {ast.unparse(node.func)}()"
        for name, path in modules().items()
        if part(name) == "api"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("now", "utcnow", "today", "time", "monotonic")
    ]
    assert not wrong, f"api gets its clock passed in, but: {wrong}"


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    """Nor for their types, nor inside functions: a circle is one module in several files."""
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for found in imports():
        if found.target in graph and found.target != found.importer:
            graph[found.importer].add(found.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' -> '.join(error.args[1])}")


def test_each_dependency_is_used_by_the_package() -> None:
    names = {"apache-airflow": "airflow", "apache-airflow-providers-common-compat": "airflow.providers.common.compat"}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    wanted = {re.split("[<>=!~ ]", requirement)[0] for requirement in declared}
    used = {found.target for found in imports()}
    unused = {
        name for name in wanted if not any(f"{target}.".startswith(f"{names.get(name, name)}.") for target in used)
    }
    assert not unused


def test_the_sandbox_uses_no_other_part_of_the_package() -> None:
    wrong = [
        found
        for found in imports()
        if part(found.importer) == "sandbox" and is_ours(found.target) and part(found.target) not in ("sandbox", "")
    ]
    assert not wrong, "the sandbox and the client would share their mistakes, but:" + show(wrong)


def test_no_other_part_of_the_package_uses_the_sandbox() -> None:
    wrong = [found for found in imports() if part(found.importer) in LAYER and part(found.target) == "sandbox"]
    assert not wrong, "the sandbox and the client would share their mistakes, but:" + show(wrong)


def test_importing_the_package_itself_imports_nothing() -> None:
    wrong = [found for found in imports() if found.importer == NAME]
    assert not wrong, "importing the package costs nothing, but:" + show(wrong)


def test_the_package_is_described_without_importing_it() -> None:
    """Airflow reads the description of every provider at each start."""
    wrong = [found for found in imports() if part(found.importer) == "get_provider_info" and is_ours(found.target)]
    assert not wrong, "get_provider_info is one plain dict, but:" + show(wrong)


@pytest.mark.parametrize("in_sandbox", [False, True], ids=["package", "sandbox"])
def test_no_two_classes_have_one_name(in_sandbox: bool) -> None:
    """The sandbox is judged by itself: it has the vendor's words for the other side of the wire."""
    found: dict[str, list[str]] = {}
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and (part(name) == "sandbox") is in_sandbox:
                found.setdefault(node.name, []).append(name)
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


ANY_ALLOWED = {"raw", "record", "kwargs"}
"""The vendor's records, and the arguments that operators pass on to Airflow."""

OVERRIDES = {
    "execute", "execute_complete", "form_behaviour", "form_widgets", "get_link", "get_openlineage_facets_on_complete",
    "get_provider_info", "init_poolmanager", "partial", "proxy_manager_for", "resume_execution", "serialize",
    "deserialize", "settings_from",
}  # fmt: skip
"""What Airflow and requests call; they decide on the types."""


def test_public_signatures_name_their_types() -> None:
    """``Any`` switches type checking off for whoever calls them."""
    wrong = [
        f"{path.relative_to(ROOT)}:{annotation.lineno} {name}"
        for module, path in modules().items()
        if part(module) != "sandbox"  # its control API answers with JSON
        for name, annotation in _public_annotations(ast.parse(path.read_text(encoding="utf-8")))
        if name not in ANY_ALLOWED
        and any(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(annotation))
    ]
    assert not wrong, "Any in public signatures:\n  " + "\n  ".join(wrong)


def _public_annotations(scope: ast.Module | ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """The names and annotations of parameters, results and attributes."""
    for node in scope.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public_annotations(node)
        elif isinstance(node, ast.AnnAssign) and isinstance(scope, ast.ClassDef):
            if isinstance(node.target, ast.Name) and not node.target.id.startswith("_"):
                yield node.target.id, node.annotation
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _is_public_function(node.name):
            for inner in ast.walk(node.args):
                if isinstance(inner, ast.arg) and inner.annotation is not None:
                    yield inner.arg, inner.annotation
            if node.returns is not None:
                yield node.name, node.returns


def _is_public_function(name: str) -> bool:
    return name == "__init__" or not (name.startswith("_") or name in OVERRIDES)
