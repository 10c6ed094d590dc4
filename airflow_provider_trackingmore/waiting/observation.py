"""The state of a shipment at one check: the small part of a tracking that waits share and compare."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from airflow_provider_trackingmore.api.json_values import parse_datetime, parse_int, parse_local_time, parse_text
from airflow_provider_trackingmore.api.models import ShipmentStatus, delivery_time

_EARLIEST_OFFSET = timedelta(hours=12)
"""The earliest time zone is this far ahead of UTC: a local time is at most this much earlier than it reads in UTC."""


class Observation(NamedTuple):
    """The state of a shipment at one check, without personal data.

    :param status: the vendor's status, as sent; None if TrackingMore does not know the shipment.
    :param substatus: the more detailed code, where the vendor gives one.
    :param delivered_at: ISO 8601 local time of the place, without zone; None while not delivered.
    :param last_update: ISO 8601 local time of the newest event, without zone.
    :param order_id: the vendor's order field.
    :param quiet_days: whole days without a new event.
    """

    status: str | None = None
    substatus: str | None = None
    delivered_at: str | None = None
    last_update: str | None = None
    order_id: str | None = None
    quiet_days: int = 0

    @classmethod
    def from_record(cls, record: Mapping[str, Any], now: float) -> Observation:
        """Extract what a wait needs from the vendor's record of a shipment.

        Large waits read thousands of records with each poll, so this parses only what it needs.

        :param record: the record, as sent.
        :param now: Unix seconds.
        :return: the observation.
        """
        status = record.get("status")
        last_update = parse_local_time(record.get("lastUpdateTime"))
        return cls(
            status if isinstance(status, str) and status else ShipmentStatus.UNKNOWN.value,
            parse_text(record.get("substatus")),
            delivery_time(record),
            last_update,
            parse_text(record.get("order_id")),
            _quiet_days(record, last_update, now),
        )


NOT_REGISTERED = Observation()
"""TrackingMore does not know this number."""


def _quiet_days(record: Mapping[str, Any], last_update: str | None, now: float) -> int:
    """Return the vendor's own count if it sends one, since it knows the time zone of the place."""
    stay_days = parse_int(record.get("stayTimeLength"))
    if stay_days is not None:
        return stay_days
    try:
        if last_update is not None:
            latest = datetime.fromisoformat(last_update).replace(tzinfo=UTC) + _EARLIEST_OFFSET
        else:
            created_at = parse_datetime(record.get("created_at"))
            if created_at is None:
                return 0
            latest = created_at
        return max(0, int((now - latest.timestamp()) // 86_400))
    except OverflowError:  # the last day of the year 9999
        return 0
