"""Rows as NDJSON and as a plain table."""

from __future__ import annotations

import contextlib
import io
import json
import unicodedata
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_trackingmore.cli.output import CHUNK, write_ndjson, write_table


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
def test_any_text_survives_a_line_of_json(text: str) -> None:
    line, second, end = Pipe().take(write_ndjson, [{"text": text}, {"text": None}])
    assert json.loads(line) == {"text": text}
    assert (second, end) == ('{"text":null}', "")
    assert all(unicodedata.category(character) != "Cc" for character in line)


def test_columns_are_as_wide_as_their_first_rows() -> None:
    rows = [{"order_id": "A", "status": "delivered"}, {"order_id": "ABCDEFGHIJ", "status": None}]
    assert Pipe().take(write_table, rows, ("order_id", "status")) == [
        "order id    status",
        "A           delivered",
        "ABCDEFGHIJ",
        "",
    ]


def test_a_cell_stays_on_its_line() -> None:
    assert Pipe().take(write_table, [{"a": "x\n\x1b[2Jy", "b": 1}], ("a", "b"))[1:] == ["x  [2Jy  1", ""]


def test_a_table_without_rows_has_no_heading() -> None:
    assert Pipe().take(write_table, [], ("a", "b")) == [""]


def test_rows_appear_before_the_last_one_is_there() -> None:
    pipe = Pipe()

    def coming() -> Iterator[dict[str, int]]:
        for number in range(10 * CHUNK):
            if number > 2 * CHUNK:
                assert pipe.raw.getvalue().count(b"\n") > CHUNK
            yield {"number": number}

    assert len(pipe.take(write_table, coming(), ("number",))) == 10 * CHUNK + 2
