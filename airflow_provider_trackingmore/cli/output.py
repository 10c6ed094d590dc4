"""Rows on standard output, as table or NDJSON, and progress on standard error. Knows terminals, and no shipments.

rich, which Airflow brings, is used on a terminal where it is there, and imported only then.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TextIO

from airflow_provider_trackingmore.cli.exits import printable

Row = Mapping[str, Any]
Tell = Callable[[int, int | None], None]

CHUNK = 100
"""The first rows decide how wide the columns are; waiting for more would keep the reader waiting."""
GAP = 2
NARROWEST = 8

STYLES = {
    **dict.fromkeys(("delivered", "created"), "green"),
    **dict.fromkeys(("exception", "expired", "undelivered", "rejected"), "red"),
    **dict.fromkeys(("notfound", "duplicate"), "yellow"),
}
"""Words that are coloured wherever they are a whole cell."""

_CONTROLS = re.compile("[\x7f-\x9f]")


def chosen_form(asked: str | None) -> str:
    """Choose the form of the output.

    :param asked: what the user asked for, if anything.
    :return: ``table`` or ``ndjson``.
    """
    return asked or ("table" if sys.stdout.isatty() else "ndjson")


@contextlib.contextmanager
def until_closed() -> Iterator[None]:
    """Write for as long as somebody reads: ``| head`` is no error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer goes nowhere; without this the interpreter complains at its end.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def write_ndjson(rows: Iterable[Row]) -> None:
    """Write one JSON object a line, UTF-8 whatever the locale.

    :param rows: plain data.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # half a character becomes its JSON escape
    for row in rows:
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        sys.stdout.write(_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n")


def write_table(rows: Iterable[Row], columns: Sequence[str], whole: int = 2, like: Iterable[Row] | None = None) -> None:
    """Write a table, row by row as they come.

    :param rows: plain data.
    :param columns: what of it is shown; headings are made from the names.
    :param whole: how many of the first columns are never broken, however narrow the terminal.
    :param like: rows as wide as those that come, so that each is written at once; None takes the first rows.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    cells = ([_cell(row.get(column)) for column in columns] for row in rows)
    size = CHUNK if like is None else 1
    first = list(islice(cells, size))
    if not first:
        return
    heads = [column.replace("_", " ") for column in columns]
    sample = first if like is None else [[_cell(row.get(column)) for column in columns] for row in like]
    draw = _on_terminal(sys.stdout, heads, sample, whole) if sys.stdout.isatty() else None
    draw = draw or _plainly(sys.stdout, heads, sample)
    draw(first)
    for chunk in iter(lambda: list(islice(cells, size)), []):
        draw(chunk)


def _cell(value: object) -> str:
    return "" if value is None else printable(str(value))


def _plainly(stream: TextIO, heads: Sequence[str], first: Sequence[Sequence[str]]) -> Callable[[list[list[str]]], None]:
    widths = [max(map(len, column)) for column in zip(heads, *first, strict=True)]

    def draw(rows: list[list[str]]) -> None:
        for row in rows:
            stream.write("  ".join(map(str.ljust, row, widths)).rstrip() + "\n")

    draw([list(heads)])
    return draw


def _on_terminal(
    stream: TextIO, heads: Sequence[str], first: Sequence[Sequence[str]], whole: int
) -> Callable[[list[list[str]]], None] | None:
    try:
        from rich.cells import cell_len
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return None
    widths = [max(map(cell_len, column)) for column in zip(heads, *first, strict=True)]
    console = Console(file=stream, highlight=False)
    spare = console.width - GAP * (len(widths) - 1)
    while sum(widths) > spare and (widest := max(widths[whole:], default=0)) > NARROWEST:
        widths[widths.index(widest, whole)] -= 1
    console = Console(file=stream, highlight=False, width=max(console.width, sum(widths) + GAP * len(widths)))
    heading = True

    def draw(rows: list[list[str]]) -> None:
        nonlocal heading
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=heading, header_style="bold")
        heading = False
        for head, width in zip(heads, widths, strict=True):
            table.add_column(head, width=width, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell, STYLES.get(cell, "")) for cell in row))
        console.print(table)

    return draw


def say(text: str) -> None:
    """Tell the person before the terminal, on standard error.

    :param text: one line.
    """
    sys.stderr.write(printable(text) + "\n")


def goes_to_file() -> bool:
    """Whether standard output is a file: in a pipe, what reads it may write to the same terminal."""
    return stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)


@contextlib.contextmanager
def progress(title: str, *, beyond: int) -> Iterator[Tell]:
    """Show how far long work is, if standard error is a terminal.

    :param title: what is being done.
    :param beyond: how much work is too short for that.
    :return: a function to be told (how many are done, of how many).
    """
    with contextlib.ExitStack() as shown:
        draw: Tell | None = None

        def tell(done: int, total: int | None) -> None:
            nonlocal draw
            if draw is None and total is not None and total > beyond:
                draw = shown.enter_context(_bar(title))
            if draw is not None:
                draw(done, total)

        yield tell


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Tell]:
    try:
        if not sys.stderr.isatty():
            raise ImportError
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
