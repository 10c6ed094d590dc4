"""Print rows as a table. If rich is installed, as it is with Airflow, the table fits the width of the terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice, takewhile
from typing import TextIO

from airflow_provider_trackingmore.cli.messages import printable

Cells = list[str]

SAMPLE_ROWS = 100
"""How many rows determine the widths of the columns; more would delay the output."""
GAP = 2
MIN_WIDTH = 8
UNBROKEN_COLUMNS = frozenset({"line", "carrier_code", "tracking_number", "code", "account"})
"""Columns at the left that are never wrapped, however narrow the terminal, because people copy their values."""

STYLES = {
    **dict.fromkeys(("delivered", "created", "updated", "deleted"), "green"),
    **dict.fromkeys(("exception", "expired", "undelivered", "rejected", "returned", "not_registered"), "red"),
    **dict.fromkeys(("notfound", "duplicate", "missing", "timed_out"), "yellow"),
}
"""The colours of cells with exactly these words."""


def write_table(
    rows: Iterable[Mapping[str, object]],
    columns: Sequence[str],
    *,
    sample: Iterable[Mapping[str, object]] | None = None,
) -> None:
    """Write a table, row by row as the rows arrive.

    :param rows: plain data.
    :param columns: the fields to show; their names are the headings.
    :param sample: rows that are as wide as those to come, so that each row is written at once; None samples the first
        rows.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    cells = ([_to_cell(row.get(column)) for column in columns] for row in rows)
    chunk_size = SAMPLE_ROWS if sample is None else 1
    first = list(islice(cells, chunk_size))
    if not first:
        return
    headings = [column.replace("_", " ") for column in columns]
    widest = first if sample is None else [[_to_cell(row.get(column)) for column in columns] for row in sample]
    unbroken = sum(1 for _ in takewhile(UNBROKEN_COLUMNS.__contains__, columns))
    draw = _rich_table(sys.stdout, headings, widest, unbroken) if sys.stdout.isatty() else None
    draw = draw or _plain_table(sys.stdout, headings, widest)
    draw(first)
    for chunk in iter(lambda: list(islice(cells, chunk_size)), []):
        draw(chunk)


def _to_cell(value: object) -> str:
    return "" if value is None else printable(str(value))


def _plain_table(
    stream: TextIO, headings: Sequence[str], sample: Sequence[Sequence[str]]
) -> Callable[[list[Cells]], None]:
    widths = [max(map(len, column)) for column in zip(headings, *sample, strict=True)]

    def draw(rows: list[Cells]) -> None:
        for row in rows:
            stream.write((" " * GAP).join(map(str.ljust, row, widths)).rstrip() + "\n")

    draw([list(headings)])
    return draw


def _rich_table(
    stream: TextIO, headings: Sequence[str], sample: Sequence[Sequence[str]], unbroken: int
) -> Callable[[list[Cells]], None] | None:
    try:
        from rich.cells import cell_len
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return None
    widths = [max(map(cell_len, column)) for column in zip(headings, *sample, strict=True)]
    console = Console(file=stream, highlight=False)
    available = console.width - GAP * (len(widths) - 1)
    while sum(widths) > available and (widest := max(widths[unbroken:], default=0)) > MIN_WIDTH:
        widths[widths.index(widest, unbroken)] -= 1
    console = Console(file=stream, highlight=False, width=max(console.width, sum(widths) + GAP * len(widths)))
    show_header = True

    def draw(rows: list[Cells]) -> None:
        nonlocal show_header
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=show_header, header_style="bold")
        show_header = False
        for heading, width in zip(headings, widths, strict=True):
            table.add_column(heading, width=width, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell, STYLES.get(cell, "")) for cell in row))
        console.print(table)

    return draw
