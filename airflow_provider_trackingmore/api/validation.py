"""Validate single arguments before anything is sent, and format values for error messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from airflow_provider_trackingmore.api.dates import order_time, ship_date
from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.limits import MAX_NUMBER_LENGTH


def is_unicode(value: str) -> bool:
    """Tell whether a text can be sent: half a surrogate pair, as wrongly read files hold it, cannot.

    :param value: any text.
    :return: False for a text that has no encoding.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_SLUG = re.compile(r"[0-9A-Za-z_-]{1,100}")
"""A carrier code, as the vendor's own SDK checks it (reference 1.0)."""


_DATES: Mapping[str, tuple[Callable[[object], str | None], str]] = {
    "order_create_time": (order_time, "a time: give a datetime, or text such as 2026-11-25T16:51+01:00"),
    "tracking_ship_date": (ship_date, "a date: give a date, or text such as 2026-11-25"),
}


_FLAGS = ("auto_correct", "archived")


_FLAG_VALUES: Mapping[object, int] = {False: 0, True: 1, "0": 0, "1": 1, "false": 0, "true": 1}


def is_unset(value: object) -> bool:
    """Whether a value means that there is none: None, or what a template makes of it.

    :param value: what the user gave.
    :return: True for None, blank text and the word "None".
    """
    return value is None or (isinstance(value, str) and value.strip().casefold() in ("", "none"))


def check_tracking_number(value: object) -> str:
    """Check a tracking number.

    :param value: what the user gave.
    :return: the number without surrounding white space.
    :raises InvalidArgumentError: if it is missing, not a text, too long, or holds control characters.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InvalidArgumentError("tracking_number is missing")
    if not isinstance(value, str):
        raise InvalidArgumentError(
            f"tracking_number must be text, not {type(value).__name__} {format_value(value)}: put it in quotes"
        )
    number = value.strip()
    if len(number) > MAX_NUMBER_LENGTH:
        raise InvalidArgumentError(
            f"tracking_number {format_value(number)} has {len(number)} characters, more than {MAX_NUMBER_LENGTH}"
        )
    if not number.isprintable() or number in (".", ".."):
        raise InvalidArgumentError(f"tracking_number {format_value(number)} holds characters that no carrier uses")
    return number


def check_carrier_code(value: object, argument: str = "carrier_code") -> str:
    """Check a carrier code.

    :param value: what the user gave.
    :param argument: its name in messages.
    :return: the code without surrounding white space.
    :raises InvalidArgumentError: if it is missing, not a text, or not of a code's form.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InvalidArgumentError(
            f"{argument} is missing: list_carriers() has the codes, detect_carrier() proposes one"
        )
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{argument} must be text, not {type(value).__name__} {format_value(value)}")
    if not _SLUG.fullmatch(value.strip()):
        raise InvalidArgumentError(
            f"{argument} {format_value(value)} is not a code like 'usps' or 'china-post': list_carriers() has them"
        )
    return value.strip()


def check_field(name: str, value: object) -> str | int:
    """Put the value of a field into the vendor's form.

    :param name: the field.
    :param value: what the user gave.
    :return: what is sent: flags as 1 or 0, the two dates in the vendor's form, everything else as text, numbers too.
    :raises InvalidArgumentError: if it has no such form.
    """
    if name in _FLAGS:
        flag = value.strip().casefold() if isinstance(value, str) else value
        if isinstance(flag, (int, str)) and flag in _FLAG_VALUES:
            return _FLAG_VALUES[flag]
        raise InvalidArgumentError(f"{name} must be True or False, not {format_value(value) or type(value).__name__}")
    if name in _DATES:
        write, what = _DATES[name]
        written = write(value)
        if written is None:
            raise InvalidArgumentError(f"{name} {format_value(value) or type(value).__name__} is not {what}")
        return written
    return check_text(name, value)


def check_text(name: str, value: object) -> str:
    """Check a text. Numbers become their digits, because the vendor documents texts.

    :param name: what it is, for the message.
    :param value: what the user gave.
    :return: the text.
    :raises InvalidArgumentError: if it is neither text nor a finite number.
    """
    if isinstance(value, str):
        if not is_unicode(value):
            raise InvalidArgumentError(f"{name} holds broken characters: read its source as the encoding it has")
        return value
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        number = Decimal(value)
        # Numbers that large are mistakes. A column of a table with gaps has 5.0 where 5 was meant.
        if not number.is_finite() or number.adjusted() >= 100:
            raise InvalidArgumentError(f"{name} is not a number that can be sent; leave it out instead")
        return str(int(value)) if value == int(value) else str(value)
    raise InvalidArgumentError(f"{name} must be text, not {type(value).__name__}")


def format_value(value: object) -> str:
    """Put a value into a message: short, on one line. Mappings and lists may hold personal data and are not shown.

    :param value: what a user gave.
    :return: the value as Python writes it; empty for what is neither text nor number.
    """
    if isinstance(value, int) and value.bit_length() > 200:
        return "(more than 60 digits)"
    if isinstance(value, (str, int, float)):
        literal = ascii(value)
        return literal if len(literal) <= 60 else literal[:57] + "..."
    return ""


_WAYBILL = re.compile(r"[0-9]{3}[ -]?[0-9]{7,8}")
"""As the vendor's own SDK checks it (reference 1.16)."""


_LANGUAGE = re.compile(r"[A-Za-z]{2}")
"""As the vendor's own SDK checks it (reference 1.0)."""


def check_language(value: object) -> str:
    """Check the language that carriers' texts are asked for in.

    :param value: what the user gave.
    :return: two letters.
    :raises InvalidArgumentError: if it is anything else.
    """
    if isinstance(value, str) and _LANGUAGE.fullmatch(value.strip()):
        return value.strip().lower()
    raise InvalidArgumentError(f"lang must be two letters such as 'en', not {format_given(value)}")


def format_given(value: object) -> str:
    """Format a value for an error message; for a mapping or a list, only its type.

    :param value: what the user gave.
    :return: a short text on one line.
    """
    return format_value(value) or type(value).__name__


def check_mapping(given: object, names: Sequence[str], optional: Sequence[str], what: str) -> dict[str, str]:
    """Take named texts out of a mapping.

    :param given: what the user gave; numbers, such as a postal code, become text.
    :param names: what must be there.
    :param optional: what may be there.
    :param what: what the mapping is, for the message.
    :return: those names only.
    :raises InvalidArgumentError: naming what is missing.
    """
    record = given if isinstance(given, Mapping) else {}
    found = {
        name: check_text(name, record[name]).strip() for name in (*names, *optional) if not is_unset(record.get(name))
    }
    if missing := [name for name in names if name not in found]:
        raise InvalidArgumentError(f"a {what} is a mapping with {', '.join(names)}; {', '.join(missing)} is missing")
    return found


def check_waybills(waybills: object) -> list[str]:
    """Check air waybills, since each one that is sent costs 20 units of quota.

    :param waybills: one number or a list of them.
    :return: the numbers, each once.
    :raises InvalidArgumentError: naming the ones that are no air waybills.
    """
    entries = list(waybills) if isinstance(waybills, Sequence) and not isinstance(waybills, str) else [waybills]
    numbers = [entry.strip() if isinstance(entry, str) else "" for entry in entries]
    wrong = [entry for entry, number in zip(entries, numbers, strict=True) if not _WAYBILL.fullmatch(number)]
    if wrong:
        named = ", ".join(map(format_given, wrong[:20]))
        raise InvalidArgumentError(f"no air waybills (three digits, a hyphen, seven or eight digits): {named}")
    return list(dict.fromkeys(numbers))
