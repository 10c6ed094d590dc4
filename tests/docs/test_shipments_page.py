"""What the documentation promises of the page's static files."""

from __future__ import annotations

import re
from pathlib import Path

from .conftest import DOCS

STATIC = Path(__file__).resolve().parents[2] / "airflow_provider_trackingmore" / "plugins" / "page" / "static"
FILES = sorted(STATIC.iterdir())
PAGE = (DOCS / "shipments-page.md").read_text(encoding="utf-8")
NAMESPACE = "http://www.w3.org/2000/svg"


def test_the_page_weighs_what_the_documentation_says() -> None:
    limit = re.search(r"static files, less than (\d+) kB", PAGE)
    assert limit is not None
    assert sum(file.stat().st_size for file in FILES) < int(limit[1]) * 1_000


def test_nothing_comes_from_another_server() -> None:
    for file in FILES:
        text = file.read_text(encoding="utf-8").replace(NAMESPACE, "")
        assert re.findall(r"https?://|@import|url\(", text) == [], file.name


def test_nothing_from_the_server_can_become_html() -> None:
    unsafe = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|new Function|srcdoc")
    for file in FILES:
        assert unsafe.findall(file.read_text(encoding="utf-8")) == [], file.name


def test_the_html_has_neither_scripts_nor_styles_of_its_own() -> None:
    for file in STATIC.glob("*.html"):
        text = file.read_text(encoding="utf-8")
        assert re.findall(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text) == [], file.name


def test_every_module_that_is_imported_is_there() -> None:
    for file in STATIC.glob("*.js"):
        for name in re.findall(r'^import .* from "\./(.+?)";$', file.read_text(encoding="utf-8"), re.MULTILINE):
            assert (STATIC / name).is_file(), f"{file.name} imports {name}"


def test_the_pictures_are_light() -> None:
    for picture in (DOCS / "images").glob("shipments-*.png"):
        assert picture.stat().st_size < 200_000, picture.name
