"""Parse single values of a response: text, numbers, times and lists, in the several forms that the API sends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any


def parse_text(value: object) -> str | None:
    """Read a text. Unset comes as null, as ``""`` and, in old answers, as the word ``"null"``.

    :param value: what stands in the answer; finite numbers become their digits.
    :return: the text, None when unset or not a text.
    """
    if isinstance(value, str):
        return value if value and value != "null" else None
    if isinstance(value, bool) or (isinstance(value, float) and parse_float(value) is None):
        return None
    return str(value) if isinstance(value, (int, float)) else None


def parse_int(value: object) -> int | None:
    """Read a whole number, which the vendor sends as number or as text.

    :param value: what stands in the answer.
    :return: the number, None when there is none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = parse_float(value)
    return int(number) if number is not None else None


def parse_float(value: object) -> float | None:
    """Read a number, which the vendor sends as number or as text.

    :param value: what stands in the answer.
    :return: the number, None when there is none or it is not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def parse_bool(value: object) -> bool | None:
    """Read a yes or no, which the vendor sends as bool or as text.

    :param value: what stands in the answer.
    :return: the value, None when it does not say.
    """
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else None


def parse_datetime(value: object) -> datetime | None:
    """Read a time of the account's side: ISO 8601 with an offset.

    :param value: what stands in the answer.
    :return: an aware datetime; None when unset, or without an offset (which is never assumed).
    """
    if not isinstance(value, str) or not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def parse_local_time(value: object) -> str | None:
    """Read a time of the carrier's side: local to its place, without zone, with or without seconds.

    :param value: what stands in the answer.
    :return: ISO 8601 with seconds; None when it is not a time.
    """
    if not isinstance(value, str) or len(value) < len("2018-04-01"):
        return None
    try:
        return datetime.fromisoformat(value.strip()).replace(tzinfo=None).isoformat(timespec="seconds")
    except ValueError:
        return None


def parse_object(value: object) -> Mapping[str, Any]:
    """Read an object, which the vendor sends as ``{}``, ``[]`` or null when it is empty.

    :param value: what stands in the answer.
    :return: the object, an empty one for anything else.
    """
    return value if isinstance(value, dict) else {}


def parse_objects(value: object) -> list[dict[str, Any]]:
    """Read a list of objects, which the vendor sends as ``[]``, ``{}`` or null when it is empty.

    :param value: what stands in the answer.
    :return: the objects in it.
    """
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
