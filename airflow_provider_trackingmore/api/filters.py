"""Arguments in the vendor's form: filters, changes, places, lanes, waybills. Checked before any call; sends nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from airflow_provider_trackingmore.api.dates import unix_seconds
from airflow_provider_trackingmore.api.envelope import is_unicode
from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus
from airflow_provider_trackingmore.api.reports import Rejection
from airflow_provider_trackingmore.api.shipments import CheckedShipments, check_text, format_value, not_given

_WAYBILL = re.compile(r"[0-9]{3}[ -]?[0-9]{7,8}")
"""As the vendor's own SDK checks it (reference 1.16)."""

_LANGUAGE = re.compile(r"[A-Za-z]{2}")
"""As the vendor's own SDK checks it (reference 1.0)."""

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


CHANGE_FIELDS = (
    "title",
    "logistics_channel",
    "customer_name",
    "customer_email",
    "customer_phone",
    "order_id",
    "destination_code",
)
"""What PUT changes besides ``archived`` and ``status`` (1.3)."""

UPDATE_FIELDS = (*CHANGE_FIELDS, "archived", "status")
"""Everything that can be changed (1.3, 1.7)."""

CHANGE_STATUS = {"delivered": 4, "exception": 7, "restore": 8}
"""The only statuses a user can set (1.3); ``restore`` goes back to the real one."""


def changes_body(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Put changes into the vendor's form.

    :param changes: any of :data:`CHANGE_FIELDS` (text), ``archived`` (bool), ``status`` (a key of
        :data:`CHANGE_STATUS`, or its number).
    :return: what is sent.
    :raises InvalidArgumentError: if there is nothing to change, or a name or value that the vendor does not take.
    """
    body: dict[str, Any] = {}
    for name, value in changes.items():
        if value is None:
            continue
        if name == "archived":
            body[name] = _archived(value)
        elif name == "status":
            body[name] = _status_number(value)
        elif name in CHANGE_FIELDS:
            body[name] = check_text(name, value)
        else:
            raise InvalidArgumentError(f"{_format(name)} cannot be changed; what can be: {', '.join(UPDATE_FIELDS)}")
    if not body:
        raise InvalidArgumentError("nothing to change: give at least one field")
    return body


def check_changes(checked: CheckedShipments) -> CheckedShipments:
    """Put the changes of a whole batch into the vendor's form.

    :param checked: shipments with changes as :func:`changes_body` takes them.
    :return: the same with the vendor's values; a shipment whose change is not possible is rejected.
    """
    bodies: dict[ShipmentKey, dict[str, Any]] = {}
    rejected = list(checked.rejected)
    for key, body in checked.bodies.items():
        identity = {"tracking_number": key.tracking_number, "carrier_code": key.carrier_code}
        try:
            bodies[key] = identity | changes_body({name: body[name] for name in body if name not in identity})
        except InvalidArgumentError as error:
            rejected.append(Rejection(*key, None, error.message))
    return CheckedShipments(bodies, tuple(rejected), checked.duplicates)


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
            raise InvalidArgumentError(f"there is no filter {_format(name)}; there are {', '.join(sorted(names))}")
        if not_given(value):
            continue
        if name.endswith(("_min", "_max")):
            query[name] = _unix_seconds(name, value)
        elif name in ("numbers", "orders"):
            query[name] = _joined(name, value)
        elif name == "archived":
            query[name] = _archived(value)
        elif name == "lang":
            query[name] = check_language(value)
        else:
            query[name] = _text(name, value)
    return query


def check_language(value: object) -> str:
    """Check the language that carriers' texts are asked for in.

    :param value: what the user gave.
    :return: two letters.
    :raises InvalidArgumentError: if it is anything else.
    """
    if isinstance(value, str) and _LANGUAGE.fullmatch(value.strip()):
        return value.strip().lower()
    raise InvalidArgumentError(f"lang must be two letters such as 'en', not {_format(value)}")


def _archived(value: object) -> str:
    read = value.lower() if isinstance(value, str) else value
    if isinstance(read, (int, str)) and read in _ARCHIVED:
        return _ARCHIVED[read]
    raise InvalidArgumentError(f"archived must be True or False, not {_format(value)}")


def _status_number(value: object) -> int:
    for name, number in CHANGE_STATUS.items():
        if isinstance(value, (int, str)) and value in (name, number, str(number)):
            return number
    raise InvalidArgumentError(f"status can only be set to {', '.join(CHANGE_STATUS)}, not {_format(value)}")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be text, not {type(value).__name__}")
    return check_text(name, value).strip()


def _format(value: object) -> str:
    return format_value(value) or type(value).__name__


def _unix_seconds(name: str, value: object) -> str:
    seconds = unix_seconds(value)
    if seconds is None:
        raise InvalidArgumentError(
            f"{name} must be unix seconds, or a datetime (or ISO 8601 text) with a time zone, not {_format(value)}"
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


def required(given: object, names: Sequence[str], optional: Sequence[str], what: str) -> dict[str, str]:
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
        name: check_text(name, record[name]).strip() for name in (*names, *optional) if not not_given(record.get(name))
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
        named = ", ".join(map(_format, wrong[:20]))
        raise InvalidArgumentError(f"no air waybills (three digits, a hyphen, seven or eight digits): {named}")
    return list(dict.fromkeys(numbers))
