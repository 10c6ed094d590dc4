"""Arguments in the vendor's form: filters, changes, places, lanes, waybills. Checked before any call; sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from airflow_provider_trackingmore.api.dates import unix_seconds
from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS
from airflow_provider_trackingmore.api.models import ShipmentStatus
from airflow_provider_trackingmore.api.validation import check_language, check_text, format_given, is_unicode, is_unset

_ARCHIVED: dict[object, str] = {True: "true", False: "false", "true": "true", "false": "false"}


class CountFilters(TypedDict, total=False):
    """Filters of the counters: times are aware datetimes, ISO 8601 texts with a zone, or unix seconds."""

    created_at_min: datetime | int | str
    created_at_max: datetime | int | str
    order_created_time_min: datetime | int | str
    order_created_time_max: datetime | int | str


class ListFilters(CountFilters, total=False):
    """Filters of the list (1.6): at most 40 ``numbers`` and 40 ``orders``; ``archived`` None means both."""

    status: ShipmentStatus | str
    update_time_min: datetime | int | str
    update_time_max: datetime | int | str
    lang: str
    numbers: Sequence[str]
    orders: Sequence[str | int]
    archived: bool | None


def filter_query(filters: Mapping[str, Any], allowed: frozenset[str] | None = None) -> dict[str, str]:
    """Put filters into the vendor's form.

    :param filters: names of :class:`ListFilters`; None, and a template that came out blank or as "None", means "not
        filtered".
    :param allowed: the names that the endpoint takes; all of :class:`ListFilters` by default.
    :return: query parameters.
    :raises InvalidArgumentError: naming the filter that the vendor does not take.
    """
    names = allowed if allowed is not None else ListFilters.__optional_keys__ | CountFilters.__optional_keys__
    query: dict[str, str] = {}
    for name, value in filters.items():
        if name not in names:
            raise InvalidArgumentError(f"there is no filter {format_given(name)}; there are {', '.join(sorted(names))}")
        if is_unset(value):
            continue
        if name.endswith(("_min", "_max")):
            query[name] = _unix_seconds(name, value)
        elif name in ("numbers", "orders"):
            query[name] = _joined(name, value)
        elif name == "archived":
            query[name] = parse_archived(value)
        elif name == "lang":
            query[name] = check_language(value)
        else:
            query[name] = _text(name, value)
    return query


def parse_archived(value: object) -> str:
    """Convert the ``archived`` flag to the API's format.

    :param value: a bool, or "true" or "false".
    :return: ``"true"`` or ``"false"``.
    :raises InvalidArgumentError: if it is anything else.
    """
    read = value.lower() if isinstance(value, str) else value
    if isinstance(read, (int, str)) and read in _ARCHIVED:
        return _ARCHIVED[read]
    raise InvalidArgumentError(f"archived must be True or False, not {format_given(value)}")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be text, not {type(value).__name__}")
    return check_text(name, value).strip()


def _unix_seconds(name: str, value: object) -> str:
    seconds = unix_seconds(value)
    if seconds is None:
        raise InvalidArgumentError(
            f"{name} must be unix seconds, or a datetime (or ISO 8601 text) with a time zone, not {format_given(value)}"
        )
    return str(seconds)


def _joined(name: str, values: object) -> str:
    given = list(values) if isinstance(values, Sequence) and not isinstance(values, (str, bytes)) else [values]
    if name == "orders":  # often a number in the user's own tables; a tracking number would lose its zeros
        given = [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in given]
    entries = [one for one in given if isinstance(one, str) and one and "," not in one and is_unicode(one)]
    if not given or len(entries) < len(given):
        raise InvalidArgumentError(f"{name} must be a list of texts, none empty or with a comma")
    if len(entries) > FILTER_NUMBERS:
        raise InvalidArgumentError(
            f"{name} takes at most {FILTER_NUMBERS} entries, not {len(entries)}: ask in several calls"
        )
    return ",".join(entries)
