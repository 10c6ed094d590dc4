"""What a wait knows of a shipment, as small plain data. Decides nothing: what it means for a wait is the gate's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking

NOT_REGISTERED = "not_registered"
RETURNED = "returned"
STUCK = "stuck"
TIMED_OUT = "timed_out"
WAITING = "waiting"

WAY_OUT_NOT_REGISTERED = "is not registered with TrackingMore: run CreateTrackingsOperator first"

_RETURNED = frozenset({"exception010", "exception011", "exception0010", "exception0011"})
"""Returned to the sender, being returned; both spellings that sources show (reference 3)."""
_FARTHEST_WEST = timedelta(hours=12)
"""A local time without zone lies at most so long before the same time in UTC."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of one shipment; small, and without personal data.

    :param carrier_code: the carrier.
    :param tracking_number: the carrier's number.
    :param status: the vendor's status; None while nothing is known.
    :param substatus: finer code, where the vendor gives one.
    :param delivered_at: ISO 8601 local time of the place, without zone; None while not delivered.
    :param last_update: ISO 8601 local time of the newest event, without zone.
    :param order_id: the order it was registered with.
    :param outcome: what it means for the wait: the status that ended it, or one of ``returned``, ``stuck``,
        ``not_registered``, ``timed_out``, ``waiting``.
    :param quiet_days: whole days without a new event. For the gate: it stays out of events and XCom.
    """

    carrier_code: str
    tracking_number: str
    status: str | None = None
    substatus: str | None = None
    delivered_at: str | None = None
    last_update: str | None = None
    order_id: str | None = None
    outcome: str = WAITING
    quiet_days: int = field(default=0, repr=False)

    @classmethod
    def of(cls, key: ShipmentKey, tracking: Tracking | None, now: float) -> Outcome:
        """Take from a tracking what a wait needs to know.

        :param key: the shipment as the user named it.
        :param tracking: what the vendor knows; None: it is not registered.
        :param now: unix seconds.
        :return: the outcome so far.
        """
        if tracking is None:
            return cls(*key, outcome=NOT_REGISTERED)
        last_update = tracking.last_update
        return cls(
            *key,
            status=tracking.status_text or tracking.status.value,
            substatus=tracking.substatus,
            delivered_at=tracking.delivered_at,
            last_update=last_update,
            order_id=tracking.order_id,
            quiet_days=_quiet_days(tracking, last_update, now),
        )

    @classmethod
    def is_in(cls, entry: Mapping[str, Any]) -> bool:
        """Tell whether :meth:`from_dict` can read an entry.

        :param entry: plain data.
        :return: False if something that is needed is missing, or no text.
        """
        texts = all(isinstance(entry.get(name), str) for name in ("carrier_code", "tracking_number", "outcome"))
        return texts and all(isinstance(entry.get(name, ""), str | None) for name in _SHOWN)

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Outcome:
        """Read back what :meth:`as_dict` made; unknown names are left out.

        :param entry: plain data.
        :return: the outcome.
        """
        values: dict[str, Any] = {name: entry[name] for name in _SHOWN if name in entry}
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """The outcome as plain data, for events and XCom.

        :return: one value per field but ``quiet_days``.
        """
        values = asdict(self)
        del values["quiet_days"]
        return values

    @property
    def key(self) -> ShipmentKey:
        """Carrier and number."""
        return ShipmentKey(self.carrier_code, self.tracking_number)

    @property
    def kind(self) -> str | None:
        """The status, or ``returned`` for the exceptions that are a return."""
        return RETURNED if self.status == "exception" and self.substatus in _RETURNED else self.status

    def __str__(self) -> str:
        if self.outcome == NOT_REGISTERED:
            return f"{self.key} {WAY_OUT_NOT_REGISTERED}"
        shown = f"{self.key}: {self.status or 'nothing known yet'}" + (f" ({self.substatus})" if self.substatus else "")
        return shown + (", stuck: no new event for too long" if self.outcome == STUCK else "")


_SHOWN = tuple(name for name in Outcome.__slots__ if name != "quiet_days")


def timed_out(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Mark what was still waited for when the time was up.

    :param outcomes: what is known.
    :return: the same, with ``timed_out`` in place of ``waiting``.
    """
    return tuple(replace(one, outcome=TIMED_OUT) if one.outcome == WAITING else one for one in outcomes)


def summary(outcomes: Sequence[Outcome]) -> str:
    """Count the statuses for one log line.

    :param outcomes: what is known.
    :return: such as ``2 delivered, 1 transit``.
    """
    counts: dict[str, int] = {}
    for one in outcomes:
        word = one.outcome if one.status is None or one.outcome == STUCK else one.status
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{number} {word}" for word, number in sorted(counts.items())) or "no shipments"


def listed(outcomes: Sequence[object]) -> str:
    """Name the first twenty of many.

    :param outcomes: what to name.
    :return: one line.
    """
    named = "; ".join(map(str, outcomes[:20]))
    return named + (f"; and {len(outcomes) - 20} more" if outcomes[20:] else "")


def _quiet_days(tracking: Tracking, last_update: str | None, now: float) -> int:
    """The vendor's own count where it gives one: it knows its clock, and the zone of the place."""
    if tracking.stay_days is not None:
        return tracking.stay_days
    if last_update is not None:
        latest = datetime.fromisoformat(last_update).replace(tzinfo=UTC) + _FARTHEST_WEST
    elif tracking.created_at is not None:
        latest = tracking.created_at
    else:
        return 0
    return max(0, int((now - latest.timestamp()) // 86_400))
