"""Rows as NDJSON, JSON, CSV and a plain table."""

from __future__ import annotations

import contextlib
import io
import json
import unicodedata
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_trackingmore.cli.output import write_csv, write_json, write_ndjson
from airflow_provider_trackingmore.cli.table import SAMPLE_ROWS, write_table


class Pipe:
    """Standard output as a pipe in a locale that knows ASCII only."""

    def __init__(self) -> None:
        self.raw = io.BytesIO()
        self.stream = io.TextIOWrapper(self.raw, encoding="ascii", write_through=True)

    def take(self, write: Callable[..., None], *arguments: object) -> list[str]:
        with contextlib.redirect_stdout(self.stream):
            write(*arguments)
        return self.raw.getvalue().decode().split("\n")


@pytest.mark.parametrize(
    "text", ["größe 包裹 📦", "half \ud83d a pair", "two\nlines\u2028", "\x1b[31m \x9b31m \x7f", '"\\']
)
def test_any_text_survives_ndjson(text: str) -> None:
    line, second, end = Pipe().take(write_ndjson, [{"text": text}, {"text": None}])
    assert json.loads(line) == {"text": text}
    assert (second, end) == ('{"text":null}', "")
    assert all(unicodedata.category(character) != "Cc" for character in line)


def test_columns_are_as_wide_as_the_first_rows() -> None:
    rows = [{"order_id": "A", "status": "delivered"}, {"order_id": "ABCDEFGHIJ", "status": None}]
    assert Pipe().take(write_table, rows, ("order_id", "status")) == [
        "order id    status",
        "A           delivered",
        "ABCDEFGHIJ",
        "",
    ]


def test_a_cell_is_one_line() -> None:
    assert Pipe().take(write_table, [{"a": "x\n\x1b[2Jy", "b": 1}], ("a", "b"))[1:] == ["x  [2Jy  1", ""]


def test_a_table_without_rows_is_empty() -> None:
    assert Pipe().take(write_table, [], ("a", "b")) == [""]


def test_rows_are_written_before_the_last_one_arrives() -> None:
    pipe = Pipe()

    def coming() -> Iterator[dict[str, int]]:
        for number in range(10 * SAMPLE_ROWS):
            if number > 2 * SAMPLE_ROWS:
                assert pipe.raw.getvalue().count(b"\n") > SAMPLE_ROWS
            yield {"number": number}

    assert len(pipe.take(write_table, coming(), ("number",))) == 10 * SAMPLE_ROWS + 2


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_an_array_with_a_row_per_line(count: int) -> None:
    rows = [{"number": number, "text": "größe\x9b"} for number in range(count)]
    lines = Pipe().take(write_json, rows)
    assert json.loads("\n".join(lines)) == rows
    assert len(lines) == (count + 3 if count else 2)
    assert "\x9b" not in "".join(lines)


def test_csv_has_a_header_quotes_and_empty_cells() -> None:
    rows = [{"a": 'größe, "x"', "b": None, "c": "not shown"}, {"a": "two\nlines\x1b[2J", "b": 5}]
    assert Pipe().take(write_csv, rows, ["a", "b"]) == ["a,b", '"größe, ""x""",', "two lines [2J,5", ""]
