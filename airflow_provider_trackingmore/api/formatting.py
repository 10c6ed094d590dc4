"""Format values and lists for messages: short, on one line, and without personal data."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

MAX_LISTED = 20
"""Items that a message lists."""


def format_value(value: object, *, with_type: bool = False) -> str:
    """Format a value that a user gave.

    :param value: the value. Mappings and lists may contain personal data, so only their type is named.
    :param with_type: whether to name the type of text and numbers too: ``int 5``.
    :return: the value as a Python literal of at most 60 characters, or the name of its type.
    """
    name = type(value).__name__
    if isinstance(value, int) and value.bit_length() > 200:
        literal = "(more than 60 digits)"
    elif isinstance(value, (str, int, float)):
        literal = ascii(value)
        literal = literal if len(literal) <= 60 else literal[:57] + "..."
    else:
        return name
    return f"{name} {literal}" if with_type else literal


def format_list(
    items: Collection[object], *, separator: str = ", ", limit: int = MAX_LISTED, more: str = "more"
) -> str:
    """List the first items on one line, and count the others.

    :param items: the items.
    :param separator: what to put between two items.
    :param limit: how many items to list.
    :param more: what to call the others.
    :return: such as ``a, b, and 3 more``.
    """
    listed = [str(item) for item in islice(items, limit)]
    if len(items) > limit:
        listed.append(f"and {len(items) - limit} {more}")
    return separator.join(listed)
