"""A CSV file of shipments, as spreadsheets write them, read row by row with line numbers."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_trackingmore.api.shipments import CREATE_FIELDS
from airflow_provider_trackingmore.cli.suggestions import did_you_mean

REQUIRED = ("carrier_code", "tracking_number")

_ROUNDED_NUMBER = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class FileError(ValueError):
    """The file as a whole cannot be read."""


@dataclass(frozen=True)
class Row:
    """A row of the file.

    :param line: the line on which it begins, 1 for the first line of the file.
    :param shipment: column -> text, without empty cells.
    :param problem: what is wrong with the row; empty if nothing is.
    """

    line: int
    shipment: dict[str, str]
    problem: str = ""


@dataclass(frozen=True)
class Sheet:
    """The file.

    :param rows: its rows, without empty ones.
    :param unknown: columns that are not fields of the API.
    """

    rows: tuple[Row, ...]
    unknown: tuple[str, ...]


def read_sheet(content: bytes, fields: Sequence[str] = CREATE_FIELDS, *, required: Sequence[str] = REQUIRED) -> Sheet:
    """Read a file: UTF-8 or UTF-16 with a byte order mark; separated by comma, semicolon or tab.

    :param content: its bytes.
    :param fields: the columns that are read besides ``carrier_code`` and ``tracking_number``.
    :param required: the columns that it must have.
    :return: its rows.
    :raises FileError: if it is not such a file, or lacks a required column.
    """
    text = _decode(content)
    if not text.strip():
        raise FileError(f"it is empty: the first line must name the columns, such as {','.join(required)}")
    lines = _lines(text, _delimiter(text))
    _, names = next(lines, (1, []))
    known = {name.casefold(): name for name in (*REQUIRED, *fields)}
    columns = [known.get(_normalize(name), "") for name in names]
    if missing := [name for name in required if name not in columns]:
        found = [name.strip() for name in names]
        raise FileError(
            f"its first line has no column {' and no column '.join(missing)}; it has {', '.join(found) or 'none'}"
        )
    if repeated := sorted({name for name in columns if name and columns.count(name) > 1}):
        raise FileError(f"its first line has more than one column {', '.join(repeated)}")
    unknown = tuple(
        f"{name.strip() or '(no name)'}{did_you_mean(_normalize(name), set(known.values()) - set(columns))}"
        for name, column in zip(names, columns, strict=True)
        if not column
    )
    return Sheet(tuple(_row(line, columns, cells) for line, cells in lines), unknown)


def _decode(content: bytes) -> str:
    if content.startswith(_UTF16_MARKS):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:
            raise FileError("it begins like UTF-16 but is not valid UTF-16: save the file as 'CSV UTF-8'") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileError(f"line {line} is not UTF-8: save the file as 'CSV UTF-8'") from None


def _normalize(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip()).casefold()


def _delimiter(text: str) -> str:
    first_line = text.lstrip().partition("\n")[0]
    return max(",;\t", key=first_line.count)


def _lines(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty with the line on which each begins: a quoted cell may span several lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
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
    shipment = {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if name and cell.strip()}
    problem = ""
    if any(cell.strip() for cell in cells[len(columns) :]):
        problem = f"more cells than the {len(columns)} columns: quote cells that contain the delimiter"
    elif _ROUNDED_NUMBER.fullmatch(number := shipment.get("tracking_number", "")):
        problem = f"a spreadsheet rounded the tracking number to {number}: format its column as text"
    return Row(line, shipment, problem)
