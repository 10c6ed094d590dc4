"""Arguments as templates leave them: text where a truth value, a number or nothing is meant. Knows no operator.

A template gives text unless the DAG has ``render_template_as_native_obj=True``. One rule for all operators: ``True``,
``False`` and ``None``, in any case, mean what they say; an empty text is None; whatever else is not understood is an
error that names the argument, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.filters import check_language
from airflow_provider_trackingmore.api.shipments import format_value

_WORDS: dict[str, bool | None] = {"true": True, "false": False, "none": None, "": None}
_AS_OBJECTS = "a template gives text unless the DAG has render_template_as_native_obj=True"


def word(value: object) -> object:
    """Read the words for truth values and for nothing.

    :param value: any value.
    :return: True, False or None for a text that says so; any other value as it is.
    """
    return _WORDS.get(value.strip().casefold(), value) if isinstance(value, str) else value


def flag(name: str, value: object) -> bool:
    """Read a truth value.

    :param name: the argument.
    :param value: True, False, or a text that says so; None is False.
    :return: the truth value.
    :raises InvalidArgumentError: if it is anything else.
    """
    read = word(value)
    if read is None or isinstance(read, bool):
        return bool(read)
    raise InvalidArgumentError(f"{name} must be True or False, not {_described(value)}")


def number(name: str, value: object) -> float:
    """Read a number from 0.

    :param name: the argument.
    :param value: a number, or a text that is one.
    :return: the number.
    :raises InvalidArgumentError: if it is anything else.
    """
    try:
        found = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if not 0 <= found < math.inf:
        raise InvalidArgumentError(f"{name} must be a number from 0, not {_described(value)}")
    return found


def text(name: str, value: object) -> str | None:
    """Read a text that may be left out.

    :param name: the argument.
    :param value: a text; None for none.
    :return: the text.
    :raises InvalidArgumentError: if it is anything else.
    """
    read = word(value)
    if read is None or isinstance(read, str):
        return read
    raise InvalidArgumentError(f"{name} must be text, not {_described(value)}")


def language(name: str, value: object) -> str | None:
    """Read a language that may be left out.

    :param name: the argument.
    :param value: two letters; None for none.
    :return: two small letters.
    :raises InvalidArgumentError: if it is anything else.
    """
    read = text(name, value)
    return check_language(read) if read and read.strip() else None


def choice(name: str, value: object, allowed: Sequence[str]) -> str:
    """Read one of several words.

    :param name: the argument.
    :param value: what the user gave.
    :param allowed: the words.
    :return: the word.
    :raises InvalidArgumentError: if it is none of them.
    """
    if isinstance(value, str) and value in allowed:
        return value
    raise InvalidArgumentError(f"{name} must be {' or '.join(map(repr, allowed))}, not {_described(value)}")


def one_or_more(name: str, value: object, kind: str) -> list[Any]:
    """Read a list, or a single entry of it.

    :param name: the argument.
    :param value: a list or any other iterable (an XCom), or one entry; None is an empty list.
    :param kind: what the entries are, for the message: ``"mappings"``, or ``"texts"``.
    :return: the entries, unchecked.
    :raises InvalidArgumentError: if it is none of these, or the text of a whole list.
    """
    if value is None:
        return []
    if isinstance(value, str):
        if kind == "texts" and not value.lstrip().startswith(("[", "(", "{")):
            return [value]
        raise InvalidArgumentError(f"{name} must be a list of {kind}, not text ({_AS_OBJECTS})")
    if isinstance(value, Mapping) and kind == "mappings":
        return [value]
    if isinstance(value, (Mapping, bytes)) or not isinstance(value, Iterable):
        raise InvalidArgumentError(f"{name} must be a list of {kind}, not {_described(value)}")
    return list(value)


def options(name: str, value: object) -> dict[str, Any]:
    """Read a mapping of names to values.

    :param name: the argument.
    :param value: the mapping; None is an empty one.
    :return: a new dict; its ``archived``, the one truth value of the API, is read as by :func:`word`.
    :raises InvalidArgumentError: if it is no mapping of texts to anything.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        hint = f" ({_AS_OBJECTS})" if isinstance(value, str) else ""
        raise InvalidArgumentError(f"{name} must be a mapping of names to values, not {type(value).__name__}{hint}")
    return {key: word(entry) if key == "archived" else entry for key, entry in value.items()}


def _described(value: object) -> str:
    return format_value(value) or type(value).__name__
