"""A CSV file of shipments as rows with their lines. Knows what spreadsheets do to files; sends nothing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_trackingmore.api.shipments import CREATE_FIELDS

REQUIRED = ("carrier_code", "tracking_number")
COLUMNS = (*REQUIRED, *CREATE_FIELDS)

_ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+")
_KNOWN = {name.casefold(): name for name in COLUMNS}


class FileError(ValueError):
    """The file as a whole cannot be read."""


@dataclass(frozen=True)
class Row:
    """One row of the file.

    :param line: where it begins, 1 for the first line.
    :param shipment: column -> text, without empty cells.
    :param problem: what is wrong with the row as a row; empty if nothing.
    """

    line: int
    shipment: dict[str, str]
    problem: str = ""


@dataclass(frozen=True)
class Sheet:
    """The file.

    :param rows: its rows, without empty ones.
    :param unknown: columns that TrackingMore has no field for.
    """

    rows: tuple[Row, ...]
    unknown: tuple[str, ...]


def read_sheet(content: bytes) -> Sheet:
    """Read a file: UTF-8 with or without BOM; comma, semicolon or tab, as its first line shows.

    :param content: its bytes.
    :return: its rows.
    :raises FileError: if it is no such file, or lacks a column that every shipment needs.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileError(f"line {line} is not UTF-8: save the file as 'CSV UTF-8'") from None
    if not text.strip():
        raise FileError(f"it is empty: the first line names the columns, such as {','.join(REQUIRED)}")
    lines = _lines(text, _separator(text))
    _, names = next(lines, (1, []))
    columns = [_KNOWN.get(_plain(name), "") for name in names]
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise FileError(
            f"its first line has no column {' and no column '.join(missing)}; it has {', '.join(names) or 'none'}"
        )
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise FileError(f"its first line has more than one column {', '.join(twice)}")
    unknown = tuple(name.strip() or "(no name)" for name, known in zip(names, columns, strict=True) if not known)
    return Sheet(tuple(_row(line, columns, cells) for line, cells in lines), unknown)


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip()).casefold()


def _separator(text: str) -> str:
    first = text.lstrip().partition("\n")[0]
    return max(",;\t", key=first.count)


def _lines(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, each with the line on which it begins: a quoted cell may go on over several."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileError(f"line {line}: {error}") from None
        if any(cell.strip() for cell in cells):
            yield line, cells


def _row(line: int, columns: Sequence[str], cells: Sequence[str]) -> Row:
    given = {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if name and cell.strip()}
    problem = ""
    if any(cell.strip() for cell in cells[len(columns) :]):
        problem = f"more cells than the {len(columns)} columns: quote a cell that holds the separator"
    elif _ROUNDED.fullmatch(number := given.get("tracking_number", "")):
        problem = f"tracking_number {number} was rounded by a spreadsheet: have the column as text there"
    return Row(line, given, problem)
