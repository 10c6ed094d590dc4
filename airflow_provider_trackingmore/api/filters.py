"""Validate the filters of list and count requests, and convert them to query parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypedDict

from airflow_provider_trackingmore.api.dates import to_unix_seconds
from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.formatting import format_value
from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS
from airflow_provider_trackingmore.api.models import ShipmentStatus
from airflow_provider_trackingmore.api.validation import check_language, check_text, is_unicode, is_unset

_ARCHIVED: dict[object, str] = {True: "true", False: "false", "true": "true", "false": "false"}


class CountFilters(TypedDict, total=False):
    """Filters of the status counters. Times are aware datetimes, ISO 8601 text with a time zone, or Unix seconds."""

    created_at_min: datetime | int | str
    created_at_max: datetime | int | str
    order_created_time_min: datetime | int | str
    order_created_time_max: datetime | int | str


class ListFilters(CountFilters, total=False):
    """Filters of the list (1.6): up to 40 ``numbers`` and 40 ``orders``; ``archived`` None means both."""

    status: ShipmentStatus | str
    update_time_min: datetime | int | str
    update_time_max: datetime | int | str
    lang: str
    numbers: Sequence[str]
    orders: Sequence[str | int]
    archived: bool | None


def filter_query(filters: Mapping[str, object], allowed: frozenset[str] | None = None) -> dict[str, str]:
    """Convert filters to query parameters.

    :param filters: keys of :class:`ListFilters`. None, and a template that rendered to blank text or "None", means "not
        filtered".
    :param allowed: the keys that the endpoint accepts; by default all of :class:`ListFilters`.
    :return: query parameters.
    :raises InvalidArgumentError: naming the filter that is unknown or has an invalid value.
    """
    names = allowed if allowed is not None else ListFilters.__optional_keys__ | CountFilters.__optional_keys__
    query: dict[str, str] = {}
    for name, value in filters.items():
        if name not in names:
            raise InvalidArgumentError(f"unknown filter {format_value(name)}; available: {', '.join(sorted(names))}")
        if is_unset(value):
            continue
        if name.endswith(("_min", "_max")):
            query[name] = _format_time(name, value)
        elif name in ("numbers", "orders"):
            query[name] = _join(name, value)
        elif name == "archived":
            query[name] = format_archived(value)
        elif name == "lang":
            query[name] = check_language(value)
        else:
            query[name] = _check_only_text(name, value)
    return query


def format_archived(value: object) -> str:
    """Convert the ``archived`` flag to the API's format.

    :param value: a bool, or "true" or "false".
    :return: ``"true"`` or ``"false"``.
    :raises InvalidArgumentError: if it is anything else.
    """
    flag = value.lower() if isinstance(value, str) else value
    if isinstance(flag, (int, str)) and flag in _ARCHIVED:
        return _ARCHIVED[flag]
    raise InvalidArgumentError(f"archived must be True or False, not {format_value(value)}")


def _check_only_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be text, not {type(value).__name__}")
    return check_text(name, value).strip()


def _format_time(name: str, value: object) -> str:
    seconds = to_unix_seconds(value)
    if seconds is None:
        raise InvalidArgumentError(
            f"{name} must be Unix seconds, or a datetime (or ISO 8601 text) with a time zone, not {format_value(value)}"
        )
    return str(seconds)


def _join(name: str, values: object) -> str:
    given = list(values) if isinstance(values, Sequence) and not isinstance(values, (str, bytes)) else [values]
    if name == "orders":  # often a number in the user's tables; a tracking number would lose its leading zeros
        given = [str(entry) if isinstance(entry, int) and not isinstance(entry, bool) else entry for entry in given]
    texts = [entry.strip() for entry in given if isinstance(entry, str)]
    entries = [text for text in texts if text and "," not in text and is_unicode(text)]
    if not given or len(entries) < len(given):
        raise InvalidArgumentError(f"{name} must be a list of texts that are neither blank nor contain a comma")
    if len(entries) > FILTER_NUMBERS:
        raise InvalidArgumentError(
            f"{name} accepts up to {FILTER_NUMBERS} entries, not {len(entries)}: use several requests"
        )
    return ",".join(entries)
