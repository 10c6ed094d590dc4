"""Decode the JSON of an answer row by row, so that other threads have their turn, and stop when it is too large.

``json.loads`` holds Python's lock for all of a page: 2,000 rows are 3 MB, a tenth of a second in which an event loop in
another thread stands still. A caller that needs little of each row can have it cut down before the next one is decoded:
the 200,000 objects of a whole page would make Python collect garbage, for which every thread stands still.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

LARGE = 100_000
"""Bytes; less than that is decoded in a few milliseconds."""

_ROWS = re.compile(r'"items"\s*:\s*\[')
_BETWEEN = re.compile(r"\s*([,\]])\s*")
_BLANK = re.compile(r"\s*")
_DECODE = json.JSONDecoder().raw_decode


class TooLargeError(Exception):
    """The answer has more than it may have; the text says of what."""


def loads(
    body: bytes,
    *,
    max_rows: int | None = None,
    max_values: int | None = None,
    parse_row: Callable[[object], object] | None = None,
) -> Any:
    """Decode JSON.

    :param body: UTF-8, as every answer.
    :param max_rows: rows that it may have under ``items`` of ``data``; None: any number.
    :param max_values: values that it may have in all, about; None: any number.
    :param parse_row: replaces each row under ``items`` of ``data`` by what it returns; it raises nothing.
    :return: what ``json.loads`` returns, but for replaced rows.
    :raises ValueError: it is no JSON.
    :raises RecursionError: it is nested too deeply.
    :raises TooLargeError: it has more rows or values; those behind them are not decoded.
    """
    if max_values is not None and body.count(b",") > max_values:  # so many commas, so many values: nothing is decoded
        raise TooLargeError(f"the answer has more than {max_values:,} values")
    answer = None
    if len(body) > LARGE:
        text = body.decode()
        if (start := _ROWS.search(text)) is not None:
            answer = _in_rows(text, start, max_rows, parse_row)
        del text
    if answer is not None:
        return answer
    answer = json.loads(body)
    data = answer.get("data") if isinstance(answer, dict) else None
    items = data.get("items") if isinstance(data, dict) else None
    if isinstance(items, list):
        _check_rows(len(items), max_rows)
        if parse_row is not None:
            items[:] = map(parse_row, items)
    return answer


def _check_rows(count: int, max_rows: int | None) -> None:
    if max_rows is not None and count > max_rows:
        raise TooLargeError(f"the answer has more than the {max_rows} rows that were asked for")


def _in_rows(
    text: str, start: re.Match[str], max_rows: int | None, parse_row: Callable[[object], object] | None
) -> Any:
    """Decode the rows one by one and the rest without them; None where the text is not a page after all."""
    rows: list[Any] = []
    at = _BLANK.match(text, start.end()).end()  # type: ignore[union-attr]  # it matches everywhere
    try:
        if text[at : at + 1] != "]":
            while True:
                row, at = _DECODE(text, at)
                rows.append(row if parse_row is None else parse_row(row))
                _check_rows(len(rows), max_rows)
                between = _BETWEEN.match(text, at)
                if between is None:
                    return None
                if between[1] == "]":
                    at = between.start(1)
                    break
                at = between.end()
        answer = json.loads(f"{text[: start.end()]}{text[at:]}")
    except ValueError:
        return None
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict) or data.get("items") != []:
        return None
    data["items"] = rows
    return answer
