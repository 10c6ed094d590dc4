"""The tables of the demo's second act, in a terminal of 80 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from demo.nightly import Lane, LoadCounts, Scores
from demo.report import MAX_LANES, lane_table, load_summary, scorecard_table

LONG = "a-carrier-with-a-very-long-code"


def lines_of(table: Table) -> list[str]:
    console = Console(file=io.StringIO(), force_terminal=False, width=80)
    with console.capture() as capture:
        console.print(table)
    return capture.get().splitlines()


@pytest.mark.parametrize(
    ("table", "cells"),
    [
        (lane_table([Lane(LONG, "CN", "US", 41, 12.34, 20.06)]), ["CN", "US", "41", "12.3", "20.1"]),
        (scorecard_table([Scores(LONG, 120, 0.954, 0.05, 0, 1)]), ["120", "95%", "5%", "0%", "100%"]),
    ],
    ids=["lanes", "carriers"],
)
def test_a_table_fits_into_80_columns_without_losing_anything(table: Table, cells: list[str]) -> None:
    lines = lines_of(table)
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    (row,) = (line for line in lines if cells[0] in line)
    assert [cell.strip() for cell in row.split("│")[2:-1]] == cells
    assert "".join(line.split("│")[1].strip() for line in lines if "│" in line) == LONG


@pytest.mark.parametrize(("more", "said"), [(0, None), (1, "1 more lane"), (30, "30 more lanes")])
def test_many_lanes_are_counted(more: int, said: str | None) -> None:
    lines = lines_of(lane_table([Lane("dhl", "DE", f"{n:02}", 1, 1.0, 1.0) for n in range(MAX_LANES + more)]))
    assert len([line for line in lines if "dhl" in line]) == MAX_LANES
    assert [line.split("│")[1].strip() for line in lines if "more" in line] == ([said] if said else [])


def test_a_name_is_not_read_as_markup() -> None:
    assert "[red]dhl" in "".join(lines_of(scorecard_table([Scores("[red]dhl", 1, 0, 0, 0, 0)])))


def test_each_load_is_summed_up_in_a_line() -> None:
    assert load_summary([LoadCounts(71, 0, 0, 1), LoadCounts(0, 2, 69, 3)]) == (
        "first load: 71 new, 0 unchanged, 1 call\nsecond load: 0 new, 2 changed, 69 unchanged, 3 calls"
    )
