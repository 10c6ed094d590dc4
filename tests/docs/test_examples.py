"""The examples of the pages run, and return what the pages say."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from docs.examples.shipment_status import dag as waiting

from .conftest import DOCS, EXAMPLES, LATER, REGISTER, Tasks

SHOWN = re.compile(r"examples/(\w+)\.py\n.*?```\n|^`(\w+)` returns:?\n\n```json\n(.*?)```", re.MULTILINE | re.DOTALL)


def results() -> list[tuple[str, str, Any]]:
    """(example, task, what the page shows): a result belongs to the example above it."""
    found = []
    for page in sorted(DOCS.rglob("*.md")):
        example = ""
        for name, task, shown in SHOWN.findall(page.read_text(encoding="utf-8")):
            example = name or example
            if task:
                found.append((example, task, json.loads(shown)))
    return found


def agrees(shown: Any, real: Any) -> bool:
    """``"..."`` stands for any value, and at the end of a list for any number of them."""
    if shown == "...":
        return True
    if isinstance(shown, dict) and isinstance(real, dict):
        return list(shown) == list(real) and all(agrees(shown[name], real[name]) for name in shown)
    if isinstance(shown, list) and isinstance(real, list):
        if shown[-1:] == ["..."]:
            shown, real = shown[:-1], real[: len(shown) - 1]
        return len(shown) == len(real) and all(map(agrees, shown, real))
    return bool(shown == real)


def test_every_example_is_run() -> None:
    assert sorted(file.stem for file in EXAMPLES.glob("*.py")) == sorted(REGISTER + LATER)


@pytest.mark.parametrize("name", REGISTER + LATER)
def test_an_example_does_what_it_says(examples: dict[str, Tasks], name: str) -> None:
    states = {task: found["state"] for task, found in examples[name].items()}
    skipped = {"call_buyer", "open_claim"} if name == "shipment_status" else set()
    assert states == {task: "skipped" if task in skipped else "success" for task in states}


@pytest.mark.parametrize(
    ("name", "task", "shown"), results(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_page_shows_the_real_result(examples: dict[str, Tasks], name: str, task: str, shown: Any) -> None:
    real = examples[name][task]["returned"]
    assert agrees(shown, real), json.dumps(real, indent=2)


@pytest.mark.parametrize(("shown", "real"), [([1, "..."], [2]), ({"a": 1}, {"a": 2}), ({"a": 1}, {}), ([1], [1, 2])])
def test_a_difference_is_noticed(shown: Any, real: Any) -> None:
    assert not agrees(shown, real)


def test_a_wait_that_was_marked_as_success_is_not_taken_for_a_delivery() -> None:
    branch = waiting.get_task("what_happened")
    with pytest.raises(AirflowFailException, match="marked as success and has no result"):
        branch.python_callable(None)  # type: ignore[union-attr]
