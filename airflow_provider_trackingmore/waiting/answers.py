"""The poller's requests, and their answers cut down to what it needs. The client parses them in its worker thread."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import MalformedResponseError
from airflow_provider_trackingmore.api.filters import ListFilters
from airflow_provider_trackingmore.api.json_values import parse_datetime, parse_int
from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.waiting.observation import Observation

KEPT_TIMES = 4096


@dataclass(frozen=True, slots=True)
class ObservedRow:
    """One row of an answer.

    :param key: the shipment, normalized.
    :param observed: its state; None when nobody waits for it.
    :param created: unix seconds of its registration, if the row says so.
    :param updated: unix seconds of its last change, if the row says so.
    """

    key: ShipmentKey
    observed: Observation | None
    created: float | None
    updated: float | None = None


@dataclass(frozen=True, slots=True)
class ObservedPage:
    """One page of ``GET /trackings/get``.

    :param rows: all rows.
    :param total: how many rows the filters match in all; None when the answer does not say.
    """

    rows: Sequence[ObservedRow] = ()
    total: int | None = 0

    @property
    def keys(self) -> set[ShipmentKey]:
        """The shipments of all rows, normalized."""
        return {row.key for row in self.rows}

    @property
    def is_last(self) -> bool:
        """Whether no page can follow."""
        return len(self.rows) < PAGE_SIZE


def page_request(
    filters: ListFilters, page: int, watched: Collection[ShipmentKey], clock: Callable[[], float]
) -> Request[ObservedPage]:
    """``GET /trackings/get``: make the request for one page.

    :param filters: what to ask for.
    :param page: its number, from 1.
    :param watched: the normalized keys of the shipments that somebody waits for.
    :param clock: unix seconds.
    """

    def parse_row(item: object) -> ObservedRow | None:
        return _parse_row(item, watched, clock())

    return endpoints.list_page(filters, page=page).with_parser(_parse_page, empty=ObservedPage, parse_row=parse_row)


def number_request(key: ShipmentKey, clock: Callable[[], float]) -> Request[ObservedPage]:
    """``GET /trackings/{carrier_code}/{tracking_number}``: make the request for one shipment.

    :param key: the shipment.
    :param clock: unix seconds.
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
        raise MalformedResponseError("expected a page of trackings, TrackingMore sent something else")
    if None in rows:
        raise MalformedResponseError("expected a page of trackings, TrackingMore sent something else in it")
    return ObservedPage(rows, parse_int(data.get("total")))


def _parse_row(item: object, watched: Collection[ShipmentKey], now: float) -> ObservedRow | None:
    """Cut a row down; None: it is no tracking."""
    if not isinstance(item, dict):
        return None
    key = ShipmentKey(str(item.get("carrier_code")).casefold(), str(item.get("tracking_number")).casefold())
    observed = Observation.from_record(item, now) if key in watched else None
    return ObservedRow(key, observed, _unix_seconds(item.get("created_at")), _unix_seconds(item.get("updated_at")))


def _unix_seconds(value: object) -> float | None:
    return _unix_seconds_of_text(value) if isinstance(value, str) else None


@functools.lru_cache(KEPT_TIMES)  # shipments that were registered or changed by one call of the vendor share the second
def _unix_seconds_of_text(value: str) -> float | None:
    moment = parse_datetime(value)
    return moment.timestamp() if moment is not None else None
