"""The tables in the documentation match the code."""

from __future__ import annotations

import re
from typing import get_args

from airflow_provider_trackingmore import exceptions
from airflow_provider_trackingmore.api import errors, limits
from airflow_provider_trackingmore.client.observer import Counter, Gauge, Timing
from airflow_provider_trackingmore.hooks.hints import AIRFLOW_HINTS
from airflow_provider_trackingmore.metrics import PREFIX

from .conftest import DOCS, ROOT

TRIED_AGAIN = {errors.Retry.NEVER: "no", errors.Retry.IF_REPEATABLE: "if idempotent", errors.Retry.ALWAYS: "yes"}


def table(page: str, first_heading: str) -> list[list[str]]:
    text = (DOCS / page).read_text(encoding="utf-8")
    rows = text.split(f"| {first_heading} |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*map(subclasses, cls.__subclasses__()))


def test_every_error_is_in_the_table_with_its_codes_and_its_handling() -> None:
    known = {cls.__name__: cls for cls in subclasses(errors.TrackingMoreError) if cls.__module__ == errors.__name__}
    rows = {row[0].strip("`"): row[1:] for row in table("errors.md", "Class")}
    assert sorted(rows) == sorted(known)
    for name, (codes, tried_again, _) in rows.items():
        cls = known[name]
        expected = sorted(code for code, error in {**errors.BY_CODE, **errors.BY_STATUS}.items() if error is cls)
        assert [int(code) for code in re.findall(r"\d+", codes)] == expected, name
        assert tried_again == TRIED_AGAIN[cls.retry], name


def test_every_hint_is_the_one_that_the_message_shows() -> None:
    shown = {row[0].strip("`"): row[3] for row in table("errors.md", "Class")}
    assert all(shown.values())
    assert {cls.__name__: shown[cls.__name__] for cls in errors.HINTS} == {
        cls.__name__: AIRFLOW_HINTS.get(hint, hint.value) for cls, hint in errors.HINTS.items()
    }


def test_every_error_of_a_task_is_in_its_table() -> None:
    text = (DOCS / "errors.md").read_text(encoding="utf-8").split("## Errors of tasks")[1].split("## ")[0]
    ours = {name for name, cls in vars(exceptions).items() if getattr(cls, "__module__", "") == exceptions.__name__}
    assert set(exceptions.__all__) == ours | {name for name in vars(exceptions) if name[:1].isupper()} - {
        "AirflowFailException"
    }
    assert set(re.findall(r"^\| `(\w+Error)`", text, re.MULTILINE)) == ours


def test_every_public_error_is_on_the_page() -> None:
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    assert [name for name in exceptions.__all__ if name.endswith("Error") and f"`{name}`" not in text] == []


def test_the_limits_are_those_of_the_code() -> None:
    assert [float(row[1]) for row in table("limits.md", "Limit of TrackingMore")] == [
        limits.REQUESTS_PER_SECOND,
        limits.COOL_DOWN_SECONDS,
        limits.REALTIME_REQUESTS_PER_SECOND,
        limits.REALTIME_REPEAT_SECONDS,
        limits.BATCH_SIZE,
        limits.FILTER_NUMBERS,
        limits.WAYBILLS,
        limits.PAGE_SIZE,
        limits.REFRESH_SECONDS,
    ]


def test_the_quota_is_that_of_the_code() -> None:
    costs = [float(row[1]) for row in table("limits.md", "What costs quota")]
    assert costs == [1, limits.DETECT_QUOTA, limits.REMOTE_QUOTA, limits.AIR_CARGO_QUOTA]


def test_every_metric_is_in_the_table_with_its_type() -> None:
    types = {"counter": Counter, "timer": Timing, "gauge": Gauge}
    expected = {(f"`{PREFIX}{name}`", kind) for kind, names in types.items() for name in get_args(names)}
    assert {(row[0], row[1]) for row in table("monitoring.md", "Metric")} == expected


def test_every_log_line_to_search_for_is_one_that_is_written() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "airflow_provider_trackingmore").rglob("*.py"))
    code = (
        re.sub(r'"\s+"', "", code)
        .replace("attempt %d of", "attempt 2 of")
        .replace("is unavailable (%s", "is unavailable (")
    )
    for row in table("monitoring.md", "Search for"):
        assert row[0].strip("`") in code, row[0]
