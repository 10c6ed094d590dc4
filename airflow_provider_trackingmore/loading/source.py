"""Read the shipments of an account for a load."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, cast

from airflow_provider_trackingmore.api import endpoints, listing, lookups
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import InvalidRequestError, TrackingNotFoundError
from airflow_provider_trackingmore.api.filters import ListFilters
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.resources import Page
from airflow_provider_trackingmore.client.runner import run, run_listing


class Send(Protocol):
    """Sends a request and returns its result, such as ``client.send``."""

    def __call__(self, request: Request[Any], /) -> Any:
        """Send the request."""


class ShipmentSource:
    """The requests of a load.

    :param send: sends one request.
    :param count_calls: returns how many HTTP requests have been sent, retries included.
    """

    def __init__(self, send: Send, count_calls: Callable[[], int]) -> None:
        self._send = send
        self._count_calls = count_calls
        self._calls_before = count_calls()
        self.total: int | None = None

    @property
    def calls(self) -> int:
        """The HTTP requests of this load, retries included."""
        return self._count_calls() - self._calls_before

    def list_trackings(self, filters: Mapping[str, object]) -> Iterator[Tracking]:
        """List shipments with ``GET /trackings/get``, each of them once. This also sets ``total``, their number.

        :param filters: the filters.
        :return: an iterator; pages are requested as it is consumed.
        """
        self.total = None
        return run_listing(listing.list_trackings(filters), self._send_page)

    def count_trackings(self, filters: Mapping[str, object]) -> int | None:
        """Count shipments with one ``GET /trackings/get``, which returns a single row.

        :param filters: the filters.
        :return: how many there are; None if TrackingMore does not say so.
        """
        page: Page = self._send(endpoints.list_page(cast("ListFilters", dict(filters)), limit=1))
        return page.total

    def find(self, keys: Iterable[ShipmentKey]) -> dict[ShipmentKey, Tracking]:
        """Look up shipments with ``GET /trackings/get?numbers=…``, 40 per request, after another request has succeeded.

        :param keys: the shipments.
        :return: those that were found.
        :raises LookupInterruptedError: if some could not be looked up; its ``found`` has the others.
        """
        return run(lookups.find_trackings(keys, is_service_up=True), self._send)

    def get(self, key: ShipmentKey) -> Tracking | None:
        """Get a shipment with ``GET /trackings/{carrier_code}/{tracking_number}``.

        :param key: the shipment.
        :return: the tracking; None if it is not registered.
        """
        try:
            tracking: Tracking = self._send(endpoints.get_tracking(*key))
        except (TrackingNotFoundError, InvalidRequestError) as error:
            if not error.from_api:
                raise
            return None
        return tracking

    def _send_page(self, request: Request[Page]) -> Page:
        page: Page = self._send(request)
        if self.total is None:
            self.total = page.total
        return page
