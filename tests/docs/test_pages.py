"""Everything that the pages show is run by a test, and their links lead somewhere. Checks only this checkout."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import DOCS, EXAMPLES, ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(
    r"^(?:<!-- (?P<note>[^\n]*) -->\n)?```(?P<kind>[^\n`]*)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL
)
PACKAGE = "airflow_provider_trackingmore"
RUN_BY = {("README.md", "first_parcels: tests/system runs this block"): "tests/system/test_readme.py"}
"""Python that stands in a page itself, and the test that runs it."""
ALL_RUN = ("example_dags/", "docs/examples/", "tests/")
"""Folders whose files may be shown: the tests run all of them."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def blocks(page: Path) -> list[re.Match[str]]:
    return list(FENCE.finditer(page.read_text(encoding="utf-8")))


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pages
def test_every_python_block_is_run_by_a_test(page: Path) -> None:
    name = page.relative_to(ROOT).as_posix()
    for block in blocks(page):
        if block["kind"].strip() in ("python", "py", "pycon", "{code-block} python"):
            test = RUN_BY.get((name, block["note"] or ""))
            assert test is not None, f"nobody runs this block of {name}:\n{block[0]}"
            assert (block["note"] or "").partition(":")[0] in (ROOT / test).read_text(encoding="utf-8")


@pages
def test_every_file_that_is_shown_is_run_by_a_test(page: Path) -> None:
    for block in blocks(page):
        if block["kind"].startswith("{literalinclude}"):
            file = (page.parent / block["kind"].split(maxsplit=1)[1]).resolve()
            assert file.is_file(), f"{page.name} shows {file.name}, which is not there"
            assert file.suffix == ".py"
            within = file.relative_to(ROOT).as_posix()
            assert within.startswith(ALL_RUN), within
            for marker in re.findall(r'^:(?:start|end)-\w+: ["\'](.*)["\']$', block["body"], re.MULTILINE):
                assert marker.strip('"') in file.read_text(encoding="utf-8"), f"{within} has no {marker}"


def test_every_example_dag_is_run_by_a_test_of_the_system() -> None:
    tests = "".join(test.read_text(encoding="utf-8") for test in (ROOT / "tests" / "system").glob("*.py"))
    for file in (ROOT / "example_dags").glob("*.py"):
        assert file.stem in tests, f"{file.name} is run by nobody"


def test_every_example_of_the_docs_is_shown() -> None:
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for file in EXAMPLES.rglob("*.py"):
        assert f"examples/{file.relative_to(EXAMPLES).as_posix()}" in shown


@pages
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), f"{page.name} links to {target}"


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = set()
    for page in DOCS.rglob("*.md"):
        for tree in blocks(page):
            if tree["kind"].startswith("{toctree}"):
                entries = [line for line in tree["body"].splitlines() if line and not line.startswith(":")]
                listed |= {(page.parent / f"{entry}.md").resolve() for entry in entries}
    assert listed == set(DOCS.rglob("*.md")) - {DOCS / "index.md"}


def test_every_file_on_the_map_for_contributors_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py|[\w/]+/)`", text)
    assert len(named) > 20
    missing = [name for name in named if not any((parent / name).exists() for parent in (ROOT, ROOT / PACKAGE))]
    assert missing == []
