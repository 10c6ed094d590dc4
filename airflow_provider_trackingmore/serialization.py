"""Records as plain dicts and NDJSON, for XCom, files and the command line.

They leave out personal data and the vendor's record unless the user asks for it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_provider_trackingmore.atomic_file import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from _typeshed import DataclassInstance

    from airflow_provider_trackingmore.api.models import Tracking


def tracking_to_dict(tracking: Tracking, *, include_raw: bool = False) -> dict[str, object]:
    """Convert a tracking to the fields that a DAG works with.

    :param tracking: the tracking.
    :param include_raw: whether to add the vendor's record, which may hold personal data.
    :return: ``carrier_code``, ``tracking_number``, ``status``, ``substatus``, ``delivered_at`` and ``last_update`` (ISO
        8601, local time at the place, without time zone), ``order_id``, and with ``include_raw`` also ``raw``.
    """
    row: dict[str, Any] = {
        "carrier_code": tracking.carrier_code,
        "tracking_number": tracking.tracking_number,
        "status": tracking.status_text or tracking.status.value,
        "substatus": tracking.substatus,
        "delivered_at": tracking.delivered_at,
        "last_update": tracking.last_update,
        "order_id": tracking.order_id,
    }
    return with_raw(row, tracking.raw) if include_raw else row


def record_to_dict(record: DataclassInstance, *, include_raw: bool = False) -> dict[str, object]:
    """Convert any other record: the fields that its repr shows, none of which is personal data.

    :param record: a dataclass of ``api.resources``.
    :param include_raw: whether to add the vendor's record, which may hold personal data.
    :return: field -> plain value, and with ``include_raw`` also ``raw``.
    """
    row = {field.name: _to_plain(getattr(record, field.name)) for field in fields(record) if field.repr}
    return with_raw(row, getattr(record, "raw", {})) if include_raw else row


def with_raw(row: dict[str, object], raw: Mapping[str, Any]) -> dict[str, object]:
    """Add the vendor's record to a row.

    :param row: a plain dict.
    :param raw: the vendor's record.
    :return: a new dict.
    """
    return {**row, "raw": dict(raw)}


def write_ndjson(rows: Iterable[dict[str, object]], path: str) -> int:
    """Write rows to a file as NDJSON, one at a time as they arrive.

    :param rows: plain dicts.
    :param path: a local file or an object store's address, as ``ObjectStoragePath`` takes it. An existing file is
        replaced once the last row is written, and stays unchanged if that does not happen.
    :return: the number of rows.
    """
    count = 0
    with replace_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _to_plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_to_plain(item) for item in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
