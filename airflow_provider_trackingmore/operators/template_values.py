"""Arguments of operators after template rendering.

A template renders to text unless the DAG has ``render_template_as_native_obj=True``. All operators read that text by
the same rules: ``True``, ``False`` and ``None`` (in any case) stand for those values, an empty text stands for None,
and anything else that an argument cannot take is an error that names the argument.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.formatting import format_value
from airflow_provider_trackingmore.api.shipments import as_shipment_list
from airflow_provider_trackingmore.api.validation import check_language
from airflow_provider_trackingmore.hooks.hints import TEMPLATE_HINT

_DURATION = re.compile(r"(?:(\d+) days?, )?(\d+):(\d{2}):(\d{2}(?:\.\d+)?)")
"""A ``timedelta`` as text."""

_LITERALS: dict[str, bool | None] = {"true": True, "false": False, "none": None, "": None}


def parse_literal(value: object) -> object:
    """Read the text of a boolean or of None.

    :param value: any value.
    :return: True, False or None for a text that spells one of them; any other value unchanged.
    """
    return _LITERALS.get(value.strip().casefold(), value) if isinstance(value, str) else value


def parse_bool(name: str, value: object) -> bool:
    """Read a boolean.

    :param name: the argument's name, for the error.
    :param value: True, False, or a text that spells one of them; None is False.
    :return: the boolean.
    :raises InvalidArgumentError: if it is anything else.
    """
    parsed = parse_literal(value)
    if parsed is None or isinstance(parsed, bool):
        return bool(parsed)
    raise InvalidArgumentError(f"{name} must be True or False, not {format_value(value)}")


def parse_number(name: str, value: object) -> float:
    """Read a number that is 0 or more.

    :param name: the argument's name, for the error.
    :param value: a number, or a text that spells one.
    :return: the number.
    :raises InvalidArgumentError: if it is anything else.
    """
    try:
        parsed = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        parsed = math.nan
    if not 0 <= parsed < math.inf:
        raise InvalidArgumentError(f"{name} must be a number, 0 or more, not {format_value(value)}")
    return parsed


def parse_quota_floor(value: object) -> float | None:
    """Read ``quota_floor``.

    :param value: units of quota, or a text that spells them; None, or the text of None, for no floor.
    :return: the units.
    :raises InvalidArgumentError: if it is anything else.
    """
    return None if parse_literal(value) is None else parse_number("quota_floor", value)


def parse_duration(name: str, value: object) -> timedelta:
    """Read a duration.

    :param name: the argument's name, for the error.
    :param value: a ``timedelta``, its text such as ``3 days, 0:00:00``, or seconds, 0 or more.
    :return: the duration.
    :raises InvalidArgumentError: if it is anything else.
    """
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
        value = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if isinstance(value, timedelta):
        value = value.total_seconds()
    try:
        return timedelta(seconds=parse_number(name, value))
    except (InvalidArgumentError, OverflowError):
        raise InvalidArgumentError(
            f"{name} must be a timedelta or a number of seconds, 0 or more, not {format_value(value)}"
        ) from None


def parse_text(name: str, value: object) -> str | None:
    """Read an optional text.

    :param name: the argument's name, for the error.
    :param value: a text; None, or the text of None, for no value.
    :return: the text.
    :raises InvalidArgumentError: if it is anything else.
    """
    parsed = parse_literal(value)
    if parsed is None or isinstance(parsed, str):
        return parsed
    raise InvalidArgumentError(f"{name} must be text, not {format_value(value)}")


def parse_language(name: str, value: object) -> str | None:
    """Read an optional language.

    :param name: the argument's name, for the error.
    :param value: two letters; None for no value.
    :return: the language in lower case.
    :raises InvalidArgumentError: if it is anything else.
    """
    parsed = parse_text(name, value)
    return None if parsed is None else check_language(parsed)


def parse_choice(name: str, value: object, allowed: Sequence[str]) -> str:
    """Read one of a few allowed words.

    :param name: the argument's name, for the error.
    :param value: the user's choice.
    :param allowed: the allowed words.
    :return: the word.
    :raises InvalidArgumentError: if it is none of them.
    """
    if isinstance(value, str) and value in allowed:
        return value
    raise InvalidArgumentError(f"{name} must be {' or '.join(map(repr, allowed))}, not {format_value(value)}")


def as_list(name: str, value: object, kind: str) -> list[object]:
    """Read a list, or a single entry as a list of one.

    :param name: the argument's name, for the error.
    :param value: a list or any other iterable (such as an XCom), or one entry; None is an empty list.
    :param kind: what the entries are, for the error: ``"mappings"`` or ``"texts"``.
    :return: the entries, not validated.
    :raises InvalidArgumentError: if it is none of these, or the text of a whole list.
    """
    if value is None:
        return []
    if isinstance(value, str):
        if kind == "texts" and not value.lstrip().startswith(("[", "(", "{")):
            return [value]
        raise InvalidArgumentError(f"{name} must be a list of {kind}, not text ({TEMPLATE_HINT})")
    if isinstance(value, Mapping) and kind == "mappings":
        return [value]
    if isinstance(value, (Mapping, bytes)) or not isinstance(value, Iterable):
        raise InvalidArgumentError(f"{name} must be a list of {kind}, not {format_value(value)}")
    return list(value)


def as_shipments(value: object) -> list[object]:
    """Read the shipments of a task.

    :param value: a mapping, an iterable of mappings, or the result of ``ListTrackingsOperator``.
    :return: the shipments, not validated.
    :raises InvalidArgumentError: if it is text or anything else.
    """
    if isinstance(value, str):
        raise InvalidArgumentError(f"shipments must be a list of mappings, not text ({TEMPLATE_HINT})")
    return as_shipment_list(value)


def as_mapping(name: str, value: object) -> dict[str, object]:
    """Read a mapping of names to values.

    :param name: the argument's name, for the error.
    :param value: the mapping; None is an empty one.
    :return: a new dict. The value of ``archived``, the API's only boolean field, may be the text of a boolean or None.
    :raises InvalidArgumentError: if it is not a mapping whose keys are texts.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        hint = f" ({TEMPLATE_HINT})" if isinstance(value, str) else ""
        raise InvalidArgumentError(f"{name} must be a mapping of names to values, not {type(value).__name__}{hint}")
    return {key: parse_literal(entry) if key == "archived" else entry for key, entry in value.items()}
