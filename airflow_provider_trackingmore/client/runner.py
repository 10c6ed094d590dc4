"""Run the request flows of ``api``: send the requests they yield, and return the results or errors to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from airflow_provider_trackingmore.api.envelope import Request, RequestFlow
from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.listing import ListingFlow
from airflow_provider_trackingmore.api.models import Tracking
from airflow_provider_trackingmore.api.resources import Page
from airflow_provider_trackingmore.client.client import TrackingMoreClient

T = TypeVar("T")


def run(flow: RequestFlow[T], send: Callable[[Request[object]], object]) -> T:
    """Run a flow to its end, blocking.

    :param flow: the flow.
    :param send: sends one request, such as ``client.send``.
    :return: the flow's result.
    :raises TrackingMoreError: if the flow does not handle it.
    """
    try:
        request = next(flow)
        while True:
            request = _next_request(flow, send, request)
    except StopIteration as stop:
        returned: T = stop.value
        return returned


def run_stepwise(flow: RequestFlow[object], send: Callable[[Request[object]], object]) -> Iterator[None]:
    """Run a flow to its end, blocking, and pause after each response.

    :param flow: the flow.
    :param send: sends one request, such as ``client.send``.
    :return: an iterator; each step sends the next request.
    :raises TrackingMoreError: if the flow does not handle it.
    """
    request = next(flow, None)
    try:
        while request is not None:
            request = _next_request(flow, send, request)
            yield
    except StopIteration:
        yield


def _next_request(
    flow: RequestFlow[T], send: Callable[[Request[object]], object], request: Request[object]
) -> Request[object]:
    """Send a request, and return the one that the flow yields for its result or error."""
    try:
        result = send(request)
    except TrackingMoreError as error:
        return flow.throw(error)
    return flow.send(result)


async def run_async(flow: RequestFlow[T], client: TrackingMoreClient) -> T:
    """Run a flow to its end on the event loop.

    :param flow: the flow.
    :param client: sends the requests.
    :return: the flow's result.
    :raises TrackingMoreError: if the flow does not handle it.
    """
    try:
        request = next(flow)
        while True:
            try:
                result = await client.send_async(request)
            except TrackingMoreError as error:
                request = flow.throw(error)
            else:
                request = flow.send(result)
    except StopIteration as stop:
        returned: T = stop.value
        return returned


def run_listing(flow: ListingFlow, send: Callable[[Request[Page]], Page]) -> Iterator[Tracking]:
    """Run a listing, and request each page when its rows are consumed.

    :param flow: the listing.
    :param send: sends one request, such as ``client.send``.
    :return: the rows.
    :raises TrackingMoreError: if a request fails.
    """
    step = next(flow, None)
    try:
        while step is not None:
            if isinstance(step, Request):
                step = flow.send(send(step))
            else:
                yield from step
                step = next(flow, None)
    except StopIteration:
        return
