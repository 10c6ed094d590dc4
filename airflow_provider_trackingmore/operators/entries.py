"""Records as small plain dicts, for XCom or a file: without personal data and the vendor's record, unless asked for."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_trackingmore.operators.whole_files import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from _typeshed import DataclassInstance

    from airflow_provider_trackingmore.api.models import Tracking


def tracking_entry(tracking: Tracking, *, include_raw: bool = False) -> dict[str, Any]:
    """Take from a tracking what a DAG goes by.

    :param tracking: the tracking.
    :param include_raw: whether to add the vendor's record, which may hold personal data.
    :return: ``carrier_code``, ``tracking_number``, ``status``, ``substatus``, ``delivered_at`` and ``last_update`` (ISO
        8601, local time of the place, without zone), ``order_id``, and ``raw`` if asked for.
    """
    entry: dict[str, Any] = {
        "carrier_code": tracking.carrier_code,
        "tracking_number": tracking.tracking_number,
        "status": tracking.status_text or tracking.status.value,
        "substatus": tracking.substatus,
        "delivered_at": tracking.delivered_at,
        "last_update": tracking.last_update,
        "order_id": tracking.order_id,
    }
    return with_raw(entry, tracking.raw) if include_raw else entry


def record_entry(record: DataclassInstance, *, include_raw: bool = False) -> dict[str, Any]:
    """Take from any other record what may be shown: the fields of its repr.

    :param record: a value of ``api.resources``.
    :param include_raw: whether to add the vendor's record, which may hold personal data.
    :return: field -> plain value, and ``raw`` if asked for.
    """
    entry = {field.name: _plain(getattr(record, field.name)) for field in fields(record) if field.repr}
    return with_raw(entry, getattr(record, "raw", {})) if include_raw else entry


def with_raw(entry: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Add the vendor's record.

    :param entry: a plain entry.
    :param raw: the record.
    :return: a new entry.
    """
    return {**entry, "raw": dict(raw)}


def write_lines(entries: Iterable[dict[str, Any]], path: str) -> int:
    """Write entries as NDJSON, one by one as they come.

    :param entries: plain entries.
    :param path: a file or an object store's address, as ``ObjectStoragePath`` takes it. What is there is replaced when
        the last entry is written, and stays as it is if that does not happen.
    :return: how many there were.
    """
    rows = 0
    with replace_file(path) as file:
        for entry in entries:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            rows += 1
    return rows


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
