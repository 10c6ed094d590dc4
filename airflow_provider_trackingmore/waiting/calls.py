"""Send the calls of a poller. Each is attempted once, since the poller itself decides what to retry, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.filters import ListFilters
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.resources import Page
from airflow_provider_trackingmore.waiting.failure_handling import FailureHandler
from airflow_provider_trackingmore.waiting.recorder import Recorder
from airflow_provider_trackingmore.waiting.responses import ObservedPage, number_request, observe_all, page_request
from airflow_provider_trackingmore.waiting.sender import Sender
from airflow_provider_trackingmore.waiting.state import PollerState


@dataclass(frozen=True, eq=False)
class PollerCalls:
    """Sends the calls of one poller. The caller passes each response to the recorder, and each error to the handler.

    :param sender: sends the calls.
    :param state: the state of the poller.
    :param recorder: records the responses.
    :param failures: handles failed calls.
    :param clock: event loop time in seconds.
    :param wall_clock: Unix seconds.
    """

    sender: Sender
    state: PollerState
    recorder: Recorder
    failures: FailureHandler
    clock: Callable[[], float]
    wall_clock: Callable[[], float]

    async def request_page(self, filters: ListFilters, number: int) -> ObservedPage:
        """``GET /trackings/get``: request a page, and parse the rows of the shipments that have subscribers.

        :param filters: the filters of the list.
        :param number: the number of the page, from 1.
        :raises TrackingMoreError: if the call fails.
        """
        return await self._send(page_request(filters, number, self.state.registry.shipments.keys(), self.wall_clock))

    async def request_whole_page(self, request: Request[Page]) -> ObservedPage:
        """Request a page, and parse all of its rows.

        :param request: the request for the page.
        :raises TrackingMoreError: if the call fails.
        """
        return await self._send(observe_all(request, self.wall_clock))

    async def request_shipment(self, key: ShipmentKey) -> ObservedPage:
        """``GET /trackings/{carrier_code}/{tracking_number}``: request a single shipment.

        :param key: the shipment.
        :raises TrackingMoreError: if the call fails, or the vendor does not know the shipment.
        """
        return await self._send(number_request(key, self.wall_clock))

    async def _send(self, request: Request[ObservedPage]) -> ObservedPage:
        page = await self.sender.send_async(request, max_attempts=1)
        self.failures.call_succeeded()
        return page
