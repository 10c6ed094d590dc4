"""The poller's requests. Their responses are parsed in a worker thread, which keeps only what waits need."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import MalformedResponseError
from airflow_provider_trackingmore.api.filters import ListFilters
from airflow_provider_trackingmore.api.json_values import parse_datetime, parse_int
from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey, ShipmentStatus, Tracking
from airflow_provider_trackingmore.api.resources import Page
from airflow_provider_trackingmore.loading.rows import latest_activity
from airflow_provider_trackingmore.waiting.observation import Observation

CACHED_TIMES = 4096
FINAL_STATUSES = frozenset({ShipmentStatus.DELIVERED.value, ShipmentStatus.EXPIRED.value})


class ObservedRow(NamedTuple):
    """One row of a response.

    :param key: the shipment, normalized.
    :param observed: its state; None if it has no subscribers.
    :param created: Unix seconds of its registration; None if the row does not say.
    :param updated: Unix seconds of its last change; None if the row does not say.
    :param sent_key: the shipment as the vendor spells it; None if it is not needed.
    """

    key: ShipmentKey
    observed: Observation | None
    created: float | None
    updated: float | None = None
    sent_key: ShipmentKey | None = None

    @property
    def created_at(self) -> datetime | None:
        """When it was registered."""
        return _to_datetime(self.created)

    @property
    def updated_at(self) -> datetime | None:
        """When the vendor last changed it."""
        return _to_datetime(self.updated)

    @property
    def is_final(self) -> bool:
        """Whether its status is final: ``delivered`` or ``expired``."""
        return self.observed is not None and self.observed.status in FINAL_STATUSES

    @property
    def active_at(self) -> datetime | None:
        """The time of the latest activity in the row."""
        last_update = None if self.observed is None else self.observed.last_update
        return latest_activity(self.created_at, self.updated_at, last_update)


@dataclass(frozen=True, slots=True)
class ObservedPage:
    """One page of ``GET /trackings/get``.

    :param rows: all rows.
    :param total: how many rows match the filters in total; None if the response does not say.
    """

    rows: Sequence[ObservedRow] = ()
    total: int | None = 0

    @property
    def items(self) -> Sequence[ObservedRow]:
        """The rows, under the name that :func:`~airflow_provider_trackingmore.api.listing.list_trackings` uses."""
        return self.rows

    @property
    def keys(self) -> set[ShipmentKey]:
        """The shipments of all rows, normalized."""
        return {row.key for row in self.rows}

    @property
    def is_last(self) -> bool:
        """Whether this is the last page."""
        return len(self.rows) < PAGE_SIZE


def page_request(
    filters: ListFilters, page: int, watched: Collection[ShipmentKey], clock: Callable[[], float]
) -> Request[ObservedPage]:
    """``GET /trackings/get``: build the request for one page.

    :param filters: the filters of the list.
    :param page: its number, from 1.
    :param watched: the normalized keys of the shipments with subscribers.
    :param clock: Unix seconds.
    """

    def parse_row(item: object) -> ObservedRow | None:
        return _parse_row(item, watched, clock())

    return endpoints.list_page(filters, page=page).with_parser(_parse_page, empty=ObservedPage, parse_row=parse_row)


def observe_all(request: Request[Page], clock: Callable[[], float]) -> Request[ObservedPage]:
    """Change a request for a page so that its rows are observed instead of parsed as whole trackings.

    :param request: the request.
    :param clock: Unix seconds.
    """

    def parse_row(item: object) -> ObservedRow | None:
        return _parse_row(item, None, clock())

    return request.with_parser(_parse_page, empty=ObservedPage, parse_row=parse_row)


def number_request(key: ShipmentKey, clock: Callable[[], float]) -> Request[ObservedPage]:
    """``GET /trackings/{carrier_code}/{tracking_number}``: build the request for one shipment.

    :param key: the shipment.
    :param clock: Unix seconds.
    """

    def parse(tracking: Tracking) -> ObservedPage:
        observed = Observation.from_record(tracking.raw, clock())
        created = tracking.created_at.timestamp() if tracking.created_at else None
        return ObservedPage([ObservedRow(key.normalized, observed, created)], 1)

    request = endpoints.get_tracking(*key)
    return request.with_parser(lambda data: parse(request.parse(data)))


def _parse_page(data: object) -> ObservedPage:
    if not data:
        return ObservedPage()
    rows = data.get("items") or [] if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(rows, list):
        raise MalformedResponseError("expected a page of trackings, but TrackingMore sent something else")
    if None in rows:
        raise MalformedResponseError(
            "expected a page of trackings, but TrackingMore sent a page with something else in it"
        )
    return ObservedPage(rows, parse_int(data.get("total")))


def _parse_row(item: object, watched: Collection[ShipmentKey] | None, now: float) -> ObservedRow | None:
    """Parse the few fields that are needed, of every shipment or of the watched ones; None if it is not a tracking."""
    if not isinstance(item, dict):
        return None
    sent_key = ShipmentKey(str(item.get("carrier_code")), str(item.get("tracking_number")))
    key = sent_key.normalized
    created, updated = _unix_seconds(item.get("created_at")), _unix_seconds(item.get("updated_at"))
    if watched is not None and key not in watched:
        return ObservedRow(key, None, created, updated)
    return ObservedRow(key, Observation.from_record(item, now), created, updated, sent_key if watched is None else None)


def _to_datetime(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _unix_seconds(value: object) -> float | None:
    return _unix_seconds_of_text(value) if isinstance(value, str) else None


@functools.lru_cache(CACHED_TIMES)  # a single call registers or changes many shipments, in the same second
def _unix_seconds_of_text(value: str) -> float | None:
    time = parse_datetime(value)
    return time.timestamp() if time is not None else None
