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

FIRST_RESULTS = 3
SEARCHES = {
    "429": ["troubleshooting"],
    "RateLimitError": ["troubleshooting"],
    "timed_out": ["troubleshooting", "sensors"],
    "not registered": ["troubleshooting"],
    "slack": ["how-to/alerts", "troubleshooting"],
    "callback": ["how-to/alerts", "troubleshooting"],
    "kubernetes": ["how-to/kubernetes"],
    "webhook": ["how-to/receive-webhooks"],
    "duckdb": ["operators/trackingmore-to-sql"],
    "snowflake": ["how-to/load-into-snowflake-bigquery"],
}
"""What somebody types into the search field, and the pages that must be among the first results."""


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


def search(query: str) -> list[str]:
    """Return the pages that Sphinx's searchtools.js finds, best first."""
    index, query = search_index(), query.lower()
    pages: list[str] = index["docnames"]
    found = [(score, index["titles"][number], number) for number, score in full_text(index, query).items()]
    for title, places in index["alltitles"].items():
        if query in title.lower() and len(query) >= len(title) / 2:
            score = round(15 * len(query) / len(title))
            for number, _ in places:
                is_page = index["titles"][number] == title
                found.append((score + is_page, title if is_page else f"{index['titles'][number]} > {title}", number))
    cross_references = []
    for entry, places in index["indexentries"].items():
        if query in entry and len(query) >= len(entry) / 2:
            for number, _, is_main in places:
                result = (round(100 * len(query) / len(entry)), index["titles"][number], number)
                (found if is_main else cross_references).append(result)
    found += objects(index, query.split())
    ranked = [result for group in (found, cross_references) for result in sorted(group, key=by_score_then_title)]
    return list(dict.fromkeys(pages[number] for _, _, number in ranked))


def by_score_then_title(result: tuple[int, str, int]) -> tuple[int, str]:
    score, title, _ = result
    return -score, title.lower()


def full_text(index: dict[str, Any], query: str) -> dict[int, int]:
    """Return the score of each page that has all words of the query."""
    language = SearchEnglish({})
    words = {
        language.stem(word)
        for word in re.findall(r"\w+", query)
        if word not in language.stopwords and not word.isdigit()
    }
    scores = [word_scores(index, word) for word in words]
    numbers = set.intersection(*map(set, scores)) if scores else set()
    return {number: max(score[number] for score in scores) for number in numbers}


def word_scores(index: dict[str, Any], word: str) -> dict[int, int]:
    scores: dict[int, int] = {}
    for terms, whole, part in ((index["terms"], 5, 2), (index["titleterms"], 15, 7)):
        matches = {word: whole} if word in terms else {term: part for term in terms if len(word) > 2 and word in term}
        for term, score in matches.items():
            numbers = terms[term] if isinstance(terms[term], list) else [terms[term]]
            scores |= dict.fromkeys(numbers, score)
    return scores


def objects(index: dict[str, Any], words: list[str]) -> list[tuple[int, str, int]]:
    """Return score, name and page of the classes, functions and arguments whose names contain the words."""
    found = []
    for prefix, entries in index["objects"].items():
        for number, _, priority, _, name in entries:
            full, last = f"{prefix}.{name}".lower(), name.lower().rpartition(".")[2]
            for word in words:
                if all(other in full for other in words):
                    score = 11 if last == word else 6 if word in last else 0
                    found.append((score + {0: 15, 1: 5, 2: -5}[priority], f"{prefix}.{name}", number))
    return found


def test_the_search_is_the_one_that_is_modelled_here() -> None:
    assert languages["en"] in (SearchEnglish, "sphinx.search.en.SearchEnglish", ("sphinx.search.en", "SearchEnglish"))
    script = (BUILT / "_static" / "searchtools.js").read_text(encoding="utf-8")
    for line in (
        r"stopwords.has(queryTermLower) || queryTerm.match(/^\d+$/)",
        "entry.includes(queryLower) && queryLower.length >= entry.length / 2",
        "Math.round((100 * queryLower.length) / entry.length)",
        "let results = [...nonMainIndexResults, ...normalResults];",
        "const score = Math.max(...wordList.map((w) => scoreMap.get(file).get(w)));",
    ):
        assert line in script
    assert search("a word like xyzzy that nobody has written") == []


@pytest.mark.parametrize(("query", "expected"), SEARCHES.items())
def test_a_search_finds_the_page_among_its_first_results(query: str, expected: list[str]) -> None:
    assert set(expected) <= set(search(query)[:FIRST_RESULTS])


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
