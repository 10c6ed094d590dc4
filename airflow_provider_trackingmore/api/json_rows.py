"""Decode the JSON of a page row by row, so that other threads can run in between, and abort if it is too large.

``json.loads`` holds the GIL for the whole page: 2,000 rows are 3 MB, which blocks an event loop in another thread for a
tenth of a second. A caller that needs little of each row can reduce it before the next one is decoded: the 200,000
objects of a whole page would trigger garbage collections, which stop all threads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

LARGE = 100_000
"""Bytes. Anything smaller is decoded within a few milliseconds."""

_ROWS = re.compile(r'"items"\s*:\s*\[')
_SEPARATOR = re.compile(r"\s*([,\]])\s*")
_WHITE_SPACE = re.compile(r"\s*")
_decode_value = json.JSONDecoder().raw_decode


class TooLargeError(Exception):
    """The response has too many rows or values."""


def loads(
    body: bytes,
    *,
    max_rows: int | None = None,
    max_values: int | None = None,
    parse_row: Callable[[object], object] | None = None,
) -> object:
    """Decode JSON.

    :param body: UTF-8, as all responses.
    :param max_rows: rows that it may have in ``items`` of ``data``; None for any number.
    :param max_values: values that it may have in total, approximately; None for any number.
    :param parse_row: replaces each row in ``items`` of ``data`` with its result; it must not raise.
    :return: what ``json.loads`` returns, except for replaced rows.
    :raises ValueError: it is not JSON.
    :raises RecursionError: it is nested too deeply.
    :raises TooLargeError: it has more rows or values; the rest is not decoded.
    """
    if max_values is not None and body.count(b",") > max_values:  # at least one value per comma: decode nothing
        raise TooLargeError(f"the response has more than {max_values:,} values")
    decoded = None
    if len(body) > LARGE:
        text = body.decode()
        if (start := _ROWS.search(text)) is not None:
            decoded = _load_by_row(text, start, max_rows, parse_row)
        del text
    if decoded is not None:
        return decoded
    decoded = json.loads(body)
    data = decoded.get("data") if isinstance(decoded, dict) else None
    items = data.get("items") if isinstance(data, dict) else None
    if isinstance(items, list):
        _check_rows(len(items), max_rows)
        if parse_row is not None:
            items[:] = map(parse_row, items)
    return decoded


def _check_rows(count: int, max_rows: int | None) -> None:
    if max_rows is not None and count > max_rows:
        raise TooLargeError(f"the response has more than the {max_rows} rows that were requested")


def _load_by_row(
    text: str, start: re.Match[str], max_rows: int | None, parse_row: Callable[[object], object] | None
) -> Any:
    """Decode the rows one by one, and the rest without them. Return None if the text is not a page after all."""
    rows: list[Any] = []
    at = _WHITE_SPACE.match(text, start.end()).end()  # type: ignore[union-attr]  # it matches everywhere
    try:
        if text[at : at + 1] != "]":
            while True:
                row, at = _decode_value(text, at)
                rows.append(row if parse_row is None else parse_row(row))
                _check_rows(len(rows), max_rows)
                separator = _SEPARATOR.match(text, at)
                if separator is None:
                    return None
                if separator[1] == "]":
                    at = separator.start(1)
                    break
                at = separator.end()
        decoded = json.loads(f"{text[: start.end()]}{text[at:]}")
    except ValueError:
        return None
    data = decoded.get("data") if isinstance(decoded, dict) else None
    if not isinstance(data, dict) or data.get("items") != []:
        return None
    data["items"] = rows
    return decoded
