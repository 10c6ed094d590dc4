"""What one check saw of a shipment: the small part of a tracking that waits share and compare."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from airflow_provider_trackingmore.api.models import Tracking

_EARLIEST_OFFSET = timedelta(hours=12)
"""A local time without zone is at most this much earlier than the same reading in UTC."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The state of a shipment at one check; without personal data.

    :param status: the vendor's status, as sent; None: TrackingMore does not know the shipment.
    :param substatus: the finer code, where the vendor gives one.
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
    def from_tracking(cls, tracking: Tracking, now: float) -> Observation:
        """Take what a wait needs from a tracking.

        :param tracking: what the vendor answered.
        :param now: unix seconds.
        :return: the observation.
        """
        last_update = tracking.last_update
        return cls(
            tracking.status_text or tracking.status.value,
            tracking.substatus,
            tracking.delivered_at,
            last_update,
            tracking.order_id,
            _quiet_days(tracking, last_update, now),
        )


NOT_REGISTERED = Observation()
"""TrackingMore has said, for this very number, that it does not know it."""


def _quiet_days(tracking: Tracking, last_update: str | None, now: float) -> int:
    """Prefer the vendor's own count: it knows its clock and the time zone of the place."""
    if tracking.stay_days is not None:
        return tracking.stay_days
    if last_update is not None:
        latest = datetime.fromisoformat(last_update).replace(tzinfo=UTC) + _EARLIEST_OFFSET
    elif tracking.created_at is not None:
        latest = tracking.created_at
    else:
        return 0
    return max(0, int((now - latest.timestamp()) // 86_400))
