"""The poller's requests, and their answers cut down to what it needs. The client parses them in its worker thread."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class ObservedRow:
    """One row about a shipment that somebody waits for.

    :param key: the shipment, normalized.
    :param observed: its state.
    :param created: unix seconds of its registration, if the row says so.
    """

    key: ShipmentKey
    observed: Observation
    created: float | None


@dataclass(frozen=True, slots=True)
class ObservedPage:
    """One page of ``GET /trackings/get``.

    :param rows: the rows about shipments that somebody waits for.
    :param keys: the shipments of all rows, normalized.
    :param total: how many rows the filters match in all; None when the answer does not say.
    :param updated: unix seconds of the last change of each row that has one.
    :param created: unix seconds of the registration of each row that has one.
    """

    rows: Sequence[ObservedRow] = ()
    keys: Sequence[ShipmentKey] = ()
    total: int | None = 0
    updated: Sequence[float] = ()
    created: Sequence[float] = ()

    @property
    def is_last(self) -> bool:
        """Whether no page can follow."""
        return len(self.keys) < PAGE_SIZE


def page_request(
    filters: ListFilters, page: int, watched: Collection[ShipmentKey], clock: Callable[[], float]
) -> Request[ObservedPage]:
    """``GET /trackings/get``: make the request for one page.

    :param filters: what to ask for.
    :param page: its number, from 1.
    :param watched: the normalized keys of the shipments that somebody waits for.
    :param clock: unix seconds.
    """
    request = endpoints.list_page(filters, page=page)
    return request.with_parser(lambda data: _parse_page(data, watched, clock()), empty=ObservedPage)


def number_request(key: ShipmentKey, clock: Callable[[], float]) -> Request[ObservedPage]:
    """``GET /trackings/{carrier_code}/{tracking_number}``: make the request for one shipment.

    :param key: the shipment.
    :param clock: unix seconds.
    """

    def parse(tracking: Tracking) -> ObservedPage:
        observed = Observation.from_tracking(tracking, clock())
        created = tracking.created_at.timestamp() if tracking.created_at else None
        return ObservedPage((ObservedRow(key.normalized, observed, created),), (key.normalized,), 1)

    request = endpoints.get_tracking(*key)
    return request.with_parser(lambda data: parse(request.parse(data)))


def _parse_page(data: object, watched: Collection[ShipmentKey], now: float) -> ObservedPage:
    if not data:
        return ObservedPage()
    items = data.get("items") or [] if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(items, list):
        raise MalformedResponseError("expected a page of trackings, TrackingMore sent something else")
    rows: list[ObservedRow] = []
    keys: list[ShipmentKey] = []
    updated: list[float] = []
    created: list[float] = []
    for item in items:
        if not isinstance(item, dict):
            raise MalformedResponseError(f"expected a tracking, TrackingMore sent {type(item).__name__}")
        key = ShipmentKey(str(item.get("carrier_code")).casefold(), str(item.get("tracking_number")).casefold())
        keys.append(key)
        changed_at, created_at = parse_datetime(item.get("updated_at")), parse_datetime(item.get("created_at"))
        if changed_at is not None:
            updated.append(changed_at.timestamp())
        if created_at is not None:
            created.append(created_at.timestamp())
        if key in watched:
            observed = Observation.from_tracking(Tracking.from_payload(item), now)
            rows.append(ObservedRow(key, observed, created_at.timestamp() if created_at is not None else None))
    return ObservedPage(rows, keys, parse_int(data.get("total")), updated, created)
