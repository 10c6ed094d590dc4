"""Times and periods on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_trackingmore.cli.time_arguments import parse_period, parse_time

NOW = datetime(2026, 3, 2, 8, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "expected"),
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
def test_a_time_is_a_period_ago_or_iso_8601(typed: str, expected: str) -> None:
    assert parse_time(typed, now=NOW).isoformat() == expected


def test_a_date_as_the_end_of_a_range_includes_the_day() -> None:
    assert parse_time("2026-03-01", now=NOW, end_of_day=True).isoformat() == "2026-03-01T23:59:59+00:00"


@pytest.mark.parametrize("typed", ["7d", "2026-03-01T00:00", "2026-03-01T10:00+08:00"])
def test_any_other_end_of_a_range_is_exact(typed: str) -> None:
    assert parse_time(typed, now=NOW, end_of_day=True) == parse_time(typed, now=NOW)


@pytest.mark.parametrize(
    "typed", ["", "7", "d", "-7d", "7 d", "7y", "yesterday", "2026-13-01", "1772400000", "\uff17d"]
)
def test_anything_else_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(ValueError, match="is not a time such as 7d, 12h, 2026-03-01 or"):
        parse_time(typed, now=NOW)


@pytest.mark.parametrize("typed", ["999999w", "999999d", "1969-12-31", "1970-01-01T00:00+01:00"])
def test_a_time_before_1970_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="is too long ago"):
        parse_time(typed, now=NOW)


def test_a_period_is_a_number_and_a_unit() -> None:
    assert [parse_period(text).total_seconds() for text in ("45s", " 30m ", "12h", "7d", "2w")] == [
        45,
        1_800,
        43_200,
        604_800,
        1_209_600,
    ]


@pytest.mark.parametrize("text", ["", "5", "-5m", "1.5h", "5 minutes"])
def test_anything_else_is_not_a_period(text: str) -> None:
    with pytest.raises(ValueError, match="is not a period such as 45s"):
        parse_period(text)
