"""Checks of the built documentation, run by ``make docs``: its links, and that searches find what people paste."""

from __future__ import annotations

import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from sphinx.search import languages
from sphinx.search.en import SearchEnglish

from .conftest import DOCS

BUILT = DOCS / "_build" / "html"
PAGES = sorted(file for file in BUILT.rglob("*.html") if "_modules" not in file.parts)  # those are Sphinx's own affair

SEARCHES = {
    "429": "troubleshooting",
    "timed_out": "sensors",
    "not registered": "troubleshooting",
    "slack": "how-to/alerts",
    "callback": "how-to/alerts",
    "kubernetes": "how-to/kubernetes",
}
"""What somebody types into the search field, and a page that must be among the results."""


class Page(HTMLParser):
    """The anchors of a page, and where its links lead."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


@cache
def page(file: Path) -> Page:
    return Page(file)


@cache
def search_index() -> dict[str, Any]:
    script = (BUILT / "searchindex.js").read_text(encoding="utf-8")
    index: dict[str, Any] = json.loads(script.removeprefix("Search.setIndex(").removesuffix(")"))
    return index


def search(query: str) -> set[str]:
    """Return the pages that Sphinx's searchtools.js finds: index entries, and pages that have all the words."""
    index, language = search_index(), SearchEnglish({})
    pages: list[str] = index["docnames"]
    words = [word for word in re.findall(r"\w+", query.lower()) if not word.isdigit()]
    found = [documents(index, language.stem(word)) for word in words if word not in language.stopwords]
    results = set.intersection(*found) if found else set()
    for entry, places in index["indexentries"].items():
        if query.lower() in entry and len(query) >= len(entry) / 2:
            results |= {number for number, *_ in places}
    return {pages[number] for number in results}


def documents(index: dict[str, Any], word: str) -> set[int]:
    numbers: set[int] = set()
    for terms in (index["terms"], index["titleterms"]):
        found = terms.get(word, [])
        numbers |= {found} if isinstance(found, int) else set(found)
    return numbers


def test_the_search_is_the_one_that_is_modelled_here() -> None:
    assert languages["en"] in (SearchEnglish, "sphinx.search.en.SearchEnglish", ("sphinx.search.en", "SearchEnglish"))
    script = (BUILT / "_static" / "searchtools.js").read_text(encoding="utf-8")
    assert r"stopwords.has(queryTermLower) || queryTerm.match(/^\d+$/)" in script
    assert "entry.includes(queryLower) && queryLower.length >= entry.length / 2" in script
    assert search("a word like xyzzy that nobody has written") == set()


@pytest.mark.parametrize(("query", "expected"), SEARCHES.items())
def test_a_search_finds_the_page(query: str, expected: str) -> None:
    assert expected in search(query)


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.relative_to(BUILT).as_posix())
def test_every_link_leads_to_a_page_and_an_anchor(file: Path) -> None:
    for link in page(file).links:
        target = urlsplit(link)
        if target.scheme or target.netloc:
            continue
        other = (file.parent / unquote(target.path)).resolve() if target.path else file
        assert other.is_file(), f"{link} leads nowhere"
        if target.fragment and other.suffix == ".html":
            assert unquote(target.fragment) in page(other).anchors, f"{link}: no such anchor"
