"""Drive what ``api`` decides: send what it asks for, hand it the result or the error. Decides nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from airflow_provider_trackingmore.api.envelope import Request, RequestFlow
from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.listing import ListingFlow
from airflow_provider_trackingmore.api.models import Tracking
from airflow_provider_trackingmore.api.resources import Page
from airflow_provider_trackingmore.client.client import TrackingMoreClient

T = TypeVar("T")


def run(conversation: RequestFlow[T], send: Callable[[Request[Any]], Any]) -> T:
    """Hold a conversation to its end, blocking.

    :param conversation: what asks.
    :param send: sends one request, such as ``client.send``.
    :return: the conversation's outcome.
    :raises TrackingMoreError: what the conversation does not deal with itself.
    """
    try:
        request = next(conversation)
        while True:
            try:
                answer = send(request)
            except TrackingMoreError as error:
                request = conversation.throw(error)
            else:
                request = conversation.send(answer)
    except StopIteration as stop:
        outcome: T = stop.value
        return outcome


def run_stepwise(conversation: RequestFlow[object], send: Callable[[Request[Any]], Any]) -> Iterator[None]:
    """Hold a conversation to its end, blocking, and pause after each answer.

    :param conversation: what asks.
    :param send: sends one request, such as ``client.send``.
    :return: an iterator that goes on with the next request each time it is asked for the next entry.
    :raises TrackingMoreError: what the conversation does not deal with itself.
    """
    request = next(conversation, None)
    try:
        while request is not None:
            try:
                answer = send(request)
            except TrackingMoreError as error:
                request = conversation.throw(error)
            else:
                request = conversation.send(answer)
            yield
    except StopIteration:
        yield


async def run_async(conversation: RequestFlow[T], client: TrackingMoreClient) -> T:
    """Hold a conversation to its end on the event loop.

    :param conversation: what asks.
    :param client: what sends.
    :return: the conversation's outcome.
    :raises TrackingMoreError: what the conversation does not deal with itself.
    """
    try:
        request = next(conversation)
        while True:
            try:
                answer = await client.send_async(request)
            except TrackingMoreError as error:
                request = conversation.throw(error)
            else:
                request = conversation.send(answer)
    except StopIteration as stop:
        outcome: T = stop.value
        return outcome


def run_listing(walk: ListingFlow, send: Callable[[Request[Page]], Page]) -> Iterator[Tracking]:
    """ListingFlow through a listing, a page at a time as the rows are consumed.

    :param walk: what decides which page is next.
    :param send: sends one request, such as ``client.send``.
    :return: the rows.
    :raises TrackingMoreError: when a page cannot be had.
    """
    step = next(walk, None)
    try:
        while step is not None:
            if isinstance(step, Request):
                step = walk.send(send(step))
            else:
                yield from step
                step = next(walk, None)
    except StopIteration:
        return
