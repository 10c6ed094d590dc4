"""Parse single values of a response: text, numbers, times and lists, in the several forms that the API sends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime


def parse_text(value: object) -> str | None:
    """Parse a text. If unset it is null, ``""`` or, in old responses, the word ``"null"``.

    :param value: the value in the response; finite numbers become their digits.
    :return: the text; None if unset or not a text.
    """
    if isinstance(value, str):
        return value if value and value != "null" else None
    if isinstance(value, bool) or (isinstance(value, float) and parse_float(value) is None):
        return None
    return str(value) if isinstance(value, (int, float)) else None


def parse_int(value: object) -> int | None:
    """Parse an integer, which the API sends as a number or as text.

    :param value: the value in the response.
    :return: the number; None if there is none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = parse_float(value)
    return int(number) if number is not None else None


def parse_float(value: object) -> float | None:
    """Parse a number, which the API sends as a number or as text.

    :param value: the value in the response.
    :return: the number; None if there is none, or it is not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def parse_bool(value: object) -> bool | None:
    """Parse a flag, which the API sends as a bool or as text.

    :param value: the value in the response.
    :return: the flag; None if there is none.
    """
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else None


def parse_datetime(value: object) -> datetime | None:
    """Parse a time of the account: ISO 8601 with an offset.

    :param value: the value in the response.
    :return: an aware datetime; None if unset or without an offset, which is never guessed.
    """
    if not isinstance(value, str) or not value:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time if time.tzinfo is not None else None


def parse_local_time(value: object) -> str | None:
    """Parse a time of a carrier: local to its place, without time zone, with or without seconds.

    :param value: the value in the response.
    :return: ISO 8601 with seconds; None if it is not a time.
    """
    if not isinstance(value, str) or len(value) < len("2018-04-01"):
        return None
    try:
        time = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    if time.tzinfo is not None:  # `replace` takes longer than all the rest
        time = time.replace(tzinfo=None)
    return time.isoformat(timespec="seconds")


def parse_object(value: object) -> Mapping[str, object]:
    """Parse an object, which the API sends as ``{}``, ``[]`` or null if it is empty.

    :param value: the value in the response.
    :return: the object; an empty one for anything else.
    """
    return value if isinstance(value, dict) else {}


def parse_objects(value: object) -> list[dict[str, object]]:
    """Parse a list of objects, which the API sends as ``[]``, ``{}`` or null if it is empty.

    :param value: the value in the response.
    :return: the objects in it.
    """
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
