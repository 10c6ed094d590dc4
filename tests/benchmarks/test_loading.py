"""The benchmark of loads runs to its end, at a small size. Times and memory are not judged here."""

from __future__ import annotations

import sys

import pytest

from benchmarks import loading, loading_calls

pytestmark = pytest.mark.slow


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str) -> list[list[str]]:
    monkeypatch.setattr(sys, "argv", ["loading", *arguments.split()])
    loading.main()
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_sides_load_the_same(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--shipments 50 --targets sqlite --sides ours,insert_rows --parts write"
    (shipments, _, events, *_), _, *rows = run(monkeypatch, capsys, arguments)
    assert shipments == "50"
    assert [row[:3] for row in rows] == [
        ["sqlite", side, load] for load in ("new", "unchanged") for side in ("ours", "insert_rows")
    ]
    assert {row[-1] for row in rows} == {events}


def test_files_and_the_sandbox_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--shipments 50 --targets parquet --sides ours --parts end-to-end"
    _, _, new, unchanged = run(monkeypatch, capsys, arguments)
    assert int(new[-1]) == int(unchanged[-1]) > 200


def test_calls_are_few() -> None:
    nights = list(loading_calls.count_calls(4_100))
    assert nights[0].rows == 4_100
    assert nights[-1].stragglers > 40
    assert nights[-1].changed > 0
    for night in nights:
        assert night.fewest <= night.calls <= night.allowed, night
