"""Times as people type them, with a clock passed in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_trackingmore.cli.moments import moment

NOW = datetime(2026, 3, 2, 8, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("7d", "2026-02-23T08:30:15+00:00"),
        ("12h", "2026-03-01T20:30:15+00:00"),
        ("30m", "2026-03-02T08:00:15+00:00"),
        ("2w", "2026-02-16T08:30:15+00:00"),
        (" 0m ", "2026-03-02T08:30:15+00:00"),
        ("2026-03-01", "2026-03-01T00:00:00+00:00"),
        ("2026-03-01T10:00", "2026-03-01T10:00:00+00:00"),
        ("2026-03-01 10:00:05", "2026-03-01T10:00:05+00:00"),
        ("2026-03-01T10:00+08:00", "2026-03-01T10:00:00+08:00"),
        ("2026-03-01T10:00Z", "2026-03-01T10:00:00+00:00"),
    ],
)
def test_a_time_is_so_long_ago_or_iso(typed: str, meant: str) -> None:
    assert moment(typed, now=NOW).isoformat() == meant


def test_a_day_as_an_end_is_meant_to_its_last_second() -> None:
    assert moment("2026-03-01", now=NOW, end=True).isoformat() == "2026-03-01T23:59:59+00:00"


@pytest.mark.parametrize("typed", ["7d", "2026-03-01T00:00", "2026-03-01T10:00+08:00"])
def test_any_other_end_is_meant_as_it_stands(typed: str) -> None:
    assert moment(typed, now=NOW, end=True) == moment(typed, now=NOW)


@pytest.mark.parametrize(
    "typed", ["", "7", "d", "-7d", "7 d", "7y", "yesterday", "2026-13-01", "1772400000", "\uff17d"]
)
def test_anything_else_is_refused_with_the_forms_that_work(typed: str) -> None:
    with pytest.raises(ValueError, match="is not a time such as 7d, 12h, 2026-03-01 or"):
        moment(typed, now=NOW)


@pytest.mark.parametrize("typed", ["999999w", "999999d", "1969-12-31", "1970-01-01T00:00+01:00"])
def test_what_lies_before_1970_has_no_unix_time(typed: str) -> None:
    with pytest.raises(ValueError, match="is too long ago"):
        moment(typed, now=NOW)
