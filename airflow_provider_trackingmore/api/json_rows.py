"""JSON of a large answer, decoded row by row, so that other threads have their turn. Knows where a page has its rows.

``json.loads`` holds Python's lock for all of a page: 2,000 rows are 3 MB, a tenth of a second in which an event loop in
another thread stands still.
"""

from __future__ import annotations

import json
import re
from typing import Any

LARGE = 100_000
"""Bytes; less than that is decoded in a few milliseconds."""

_ROWS = re.compile(r'"items"\s*:\s*\[')
_BETWEEN = re.compile(r"\s*([,\]])\s*")
_BLANK = re.compile(r"\s*")
_DECODE = json.JSONDecoder().raw_decode


def loads(body: bytes) -> Any:
    """Decode JSON.

    :param body: UTF-8, as every answer.
    :return: what ``json.loads`` returns.
    :raises ValueError: it is no JSON.
    :raises RecursionError: it is nested too deeply.
    """
    if len(body) > LARGE:
        text = body.decode()
        if (start := _ROWS.search(text)) is not None:
            answer = _in_rows(text, start)
            if answer is not None:
                return answer
    return json.loads(body)


def _in_rows(text: str, start: re.Match[str]) -> Any:
    """Decode the rows one by one and the rest without them; None where the text is not a page after all."""
    rows: list[Any] = []
    at = _BLANK.match(text, start.end()).end()  # type: ignore[union-attr]  # it matches everywhere
    try:
        if text[at : at + 1] != "]":
            while True:
                row, at = _DECODE(text, at)
                rows.append(row)
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
