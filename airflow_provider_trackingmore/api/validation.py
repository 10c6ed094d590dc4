"""Validate single arguments before any request is sent, and convert them to the API's format."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar, cast

from airflow_provider_trackingmore.api.dates import format_order_time, format_ship_date
from airflow_provider_trackingmore.api.errors import Hint, InvalidArgumentError
from airflow_provider_trackingmore.api.formatting import format_list, format_value
from airflow_provider_trackingmore.api.limits import MAX_NUMBER_LENGTH

T = TypeVar("T")

_CARRIER_CODE = re.compile(r"[0-9A-Za-z_-]{1,100}")
_WAYBILL = re.compile(r"[0-9]{3}[ -]?[0-9]{7,8}")
_LANGUAGE = re.compile(r"[A-Za-z]{2}")
"""As the vendor's own SDK checks them (reference 1.0, 1.16)."""

_DATE_FIELDS: Mapping[str, tuple[Callable[[object], str | None], str]] = {
    "order_create_time": (format_order_time, "a time: pass a datetime, or text such as 2026-11-25T16:51+01:00"),
    "tracking_ship_date": (format_ship_date, "a date: pass a date, or text such as 2026-11-25"),
}
_FLAG_FIELDS = ("auto_correct", "archived")
_FLAG_VALUES: Mapping[object, int] = {False: 0, True: 1, "0": 0, "1": 1, "false": 0, "true": 1}


def is_unicode(value: str) -> bool:
    """Return whether a text can be encoded. A lone surrogate, as in a file read with the wrong encoding, cannot.

    :param value: any text.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_unset(value: object) -> bool:
    """Return whether a value stands for no value: None, or how a template renders it.

    :param value: what the user passed.
    :return: True for None, blank text and the word "None".
    """
    return value is None or (isinstance(value, str) and value.strip().casefold() in ("", "none"))


def is_unset_field(name: str, value: object) -> bool:
    """Return whether a field is not to be sent. A text field may be blank: that clears it.

    :param name: the field.
    :param value: what the user passed.
    """
    return value is None or (name in (*_DATE_FIELDS, *_FLAG_FIELDS) and is_unset(value))


def check_tracking_number(value: object) -> str:
    """Validate a tracking number.

    :param value: what the user passed.
    :return: the number without surrounding white space.
    :raises InvalidArgumentError: if it is missing, not text, too long, or contains control characters.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InvalidArgumentError("tracking_number is missing")
    if not isinstance(value, str):
        raise InvalidArgumentError(f"tracking_number must be text, not {format_value(value, with_type=True)}: quote it")
    number = value.strip()
    if len(number) > MAX_NUMBER_LENGTH:
        raise InvalidArgumentError(
            f"tracking_number {format_value(number)} has {len(number)} characters, more than {MAX_NUMBER_LENGTH}"
        )
    if not number.isprintable() or number in (".", ".."):
        raise InvalidArgumentError(f"tracking_number {format_value(number)} contains characters that no carrier uses")
    return number


def check_carrier_code(value: object, argument: str = "carrier_code") -> str:
    """Validate a carrier code.

    :param value: what the user passed.
    :param argument: its name in error messages.
    :return: the code without surrounding white space.
    :raises InvalidArgumentError: if it is missing, not text, or does not look like a code.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InvalidArgumentError(f"{argument} is missing", hint=Hint.LIST_CARRIERS)
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{argument} must be text, not {format_value(value, with_type=True)}")
    if not _CARRIER_CODE.fullmatch(value.strip()):
        raise InvalidArgumentError(
            f"{argument} {format_value(value)} is not a code like 'usps' or 'china-post'", hint=Hint.LIST_CARRIERS
        )
    return value.strip()


def check_field(name: str, value: object) -> str | int:
    """Convert the value of a field to the API's format.

    :param name: the field.
    :param value: what the user passed.
    :return: 1 or 0 for flags, the API's format for the two dates, and text for everything else, numbers included.
    :raises InvalidArgumentError: if it cannot be converted.
    """
    if name in _FLAG_FIELDS:
        flag = value.strip().casefold() if isinstance(value, str) else value
        if isinstance(flag, (int, str)) and flag in _FLAG_VALUES:
            return _FLAG_VALUES[flag]
        raise InvalidArgumentError(f"{name} must be True or False, not {format_value(value)}")
    if name in _DATE_FIELDS:
        format_date, description = _DATE_FIELDS[name]
        formatted = format_date(value)
        if formatted is None:
            raise InvalidArgumentError(f"{name} {format_value(value)} is not {description}")
        return formatted
    return check_text(name, value)


def check_text(name: str, value: object) -> str:
    """Validate a text. The API documents texts only, so numbers become their digits.

    :param name: what it is, for the error message.
    :param value: what the user passed.
    :return: the text.
    :raises InvalidArgumentError: if it is neither text nor a finite number.
    """
    if isinstance(value, str):
        if not is_unicode(value):
            raise InvalidArgumentError(f"{name} contains broken characters: read its source with the right encoding")
        return value
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        number = Decimal(value)
        # Such large numbers are mistakes. A table column with gaps has 5.0 instead of 5.
        if not number.is_finite() or number.adjusted() >= 100:
            raise InvalidArgumentError(f"{name} is not a number that can be sent: omit it instead")
        return str(int(value)) if value == int(value) else str(value)
    raise InvalidArgumentError(f"{name} must be text, not {type(value).__name__}")


def check_language(value: object) -> str:
    """Validate a language for the carriers' texts.

    :param value: what the user passed.
    :return: two lower-case letters.
    :raises InvalidArgumentError: if it is anything else.
    """
    if isinstance(value, str) and _LANGUAGE.fullmatch(value.strip()):
        return value.strip().lower()
    raise InvalidArgumentError(f"lang must be two letters such as 'en', not {format_value(value)}")


def check_mapping(value: object, names: Sequence[str], optional: Sequence[str], description: str) -> dict[str, str]:
    """Validate a mapping of texts.

    :param value: what the user passed; numbers, such as postal codes, become text.
    :param names: the keys that are required.
    :param optional: the keys that are optional.
    :param description: what the mapping is, for the error message.
    :return: the values of those keys only.
    :raises InvalidArgumentError: naming the keys that are missing.
    """
    record = value if isinstance(value, Mapping) else {}
    texts = {
        name: check_text(name, record[name]).strip() for name in (*names, *optional) if not is_unset(record.get(name))
    }
    if missing := [name for name in names if name not in texts]:
        raise InvalidArgumentError(
            f"a {description} is a mapping with {', '.join(names)}; {', '.join(missing)} is missing"
        )
    return texts


def as_entries(argument: str, entries: Sequence[T] | Mapping[str, object]) -> Sequence[T]:
    """Return places or lanes as a list.

    :param argument: the name of the argument, for the error.
    :param entries: a list, or a single mapping.
    :return: the entries, not validated.
    :raises InvalidArgumentError: if it is text or not iterable.
    """
    if isinstance(entries, Mapping):
        return [cast(T, entries)]
    if isinstance(entries, str | bytes) or not isinstance(entries, Iterable):
        raise InvalidArgumentError(f"{argument} must be a list of mappings, not {type(entries).__name__}")
    return list(entries)


def check_waybills(waybills: object) -> list[str]:
    """Validate air waybills, since each one that is sent costs 20 units of quota.

    :param waybills: one number or a list of them.
    :return: the numbers without duplicates. A number in two spellings, such as with a hyphen and without, is one.
    :raises InvalidArgumentError: naming those that are not air waybills.
    """
    entries = list(waybills) if isinstance(waybills, Sequence) and not isinstance(waybills, str) else [waybills]
    numbers = [entry.strip() if isinstance(entry, str) else "" for entry in entries]
    wrong = [entry for entry, number in zip(entries, numbers, strict=True) if not _WAYBILL.fullmatch(number)]
    if wrong:
        raise InvalidArgumentError(
            "not air waybills (three digits, a hyphen, seven or eight digits): "
            + format_list([format_value(entry) for entry in wrong])
        )
    unique: dict[str, str] = {}
    for number in numbers:
        unique.setdefault(re.sub("[ -]", "", number), number)
    return list(unique.values())
