"""Look up any number of shipments with few requests, and find those that make a request fail."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar
from urllib.parse import quote_plus

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import RequestFlow
from airflow_provider_trackingmore.api.errors import (
    SPLITTABLE_CODES,
    ApiError,
    InvalidRequestError,
    MalformedResponseError,
    ServerError,
    TrackingMoreError,
    TrackingNotFoundError,
)
from airflow_provider_trackingmore.api.filters import ListFilters
from airflow_provider_trackingmore.api.formatting import format_list
from airflow_provider_trackingmore.api.interruptions import LookupInterruptedError
from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS, MAX_FILTER_CHARACTERS
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking

FoundT = TypeVar("FoundT")

MAX_SERVICE_FAILURES = 3
"""After this many failures of the same kind in a row, the service is down: the lookup ends."""
SMALL_REQUEST = 10
"""Numbers in a request. Failures of smaller requests may be adjacent because their numbers are."""
MAX_SMALL_REQUEST_FAILURES = 10
"""The limit for small requests, once another request has succeeded."""
MAX_NAMED = 5
"""Shipments that an error message names."""


def find_trackings(
    keys: Iterable[ShipmentKey], lang: str | None = None, *, is_service_up: bool = False
) -> RequestFlow[dict[ShipmentKey, Tracking]]:
    """Look up shipments, up to 40 per request.

    Two carriers may use the same number, so a tracking is returned only for the shipment with its carrier. Numbers that
    the ``numbers`` filter cannot express (with a comma) are requested one by one, and so is a single shipment with
    ``lang``.

    If a request fails with a server error or a malformed response, one of its numbers may be the cause: the other
    requests are sent first, and then its halves. If the first three requests fail in the same way, or three large ones
    in a row later on, the service is down and the lookup ends.

    :param keys: the shipments.
    :param lang: two-letter language of the carriers' texts; None for the carrier's own.
    :param is_service_up: whether other requests have just succeeded, so that failures are due to some of the numbers.
    :return: the shipments that are registered.
    :raises LookupInterruptedError: if the account or the connection fails, or some shipments could not be looked up;
        its ``found`` has all the others.
    """
    wanted = list(dict.fromkeys(keys))
    lookup = _Lookup(lang, is_service_up)
    is_alone = lang is not None and len(wanted) == 1
    single = [key for key in wanted if is_alone or "," in key.tracking_number]
    listed = [key for key in wanted if not (is_alone or "," in key.tracking_number)]
    numbers = list(dict.fromkeys(key.tracking_number for key in listed))
    try:
        yield from lookup.request_lists(filter_chunks(numbers))
        yield from lookup.request_single(single)
    except TrackingMoreError as error:
        raise LookupInterruptedError(error, lookup.found(wanted)) from error
    found = lookup.found(wanted)
    failed = [key for key in wanted if key.tracking_number in lookup.failed_numbers and key not in found]
    if lookup.failure is not None and failed:
        raise _incomplete(lookup.failure, found, failed) from lookup.failure
    return found


class _Lookup:
    """The trackings found so far, and the requests that failed; ``confirmed`` is the result of single requests."""

    def __init__(self, lang: str | None, is_service_up: bool) -> None:
        self._lang = lang
        self._is_service_up = is_service_up
        self.failure: TrackingMoreError | None = None
        self.failed_numbers: set[str] = set()
        self._trackings: dict[ShipmentKey, Tracking] = {}
        self.confirmed: dict[ShipmentKey, Tracking | None] = {}
        self._succeeded = False
        self._failures_in_a_row: list[TrackingMoreError] = []

    def request_lists(self, chunks: Iterable[Sequence[str]]) -> RequestFlow[None]:
        queue = deque(chunks)
        while queue:
            numbers = queue.popleft()
            filters: ListFilters = {"numbers": numbers}
            if self._lang is not None:
                filters["lang"] = self._lang
            try:
                page = yield endpoints.list_page(filters)
            except TrackingMoreError as error:
                if not (isinstance(error, ApiError) and error.code in SPLITTABLE_CODES):
                    self._count_failure(error, len(numbers))
                    if len(numbers) == 1:
                        self.failed_numbers.update(numbers)
                if len(numbers) > 1:
                    middle = len(numbers) // 2
                    queue.extend((numbers[:middle], numbers[middle:]))
            else:
                self._add({tracking.key: tracking for tracking in page.items})

    def request_single(self, keys: Iterable[ShipmentKey]) -> RequestFlow[None]:
        for key in keys:
            try:
                tracking = yield endpoints.get_tracking(*key, lang=self._lang)
            except (TrackingNotFoundError, InvalidRequestError) as error:
                if not error.from_api:
                    raise
                self.confirmed[key] = None
            except TrackingMoreError as error:
                self._count_failure(error, 1)
                self.failed_numbers.add(key.tracking_number)
            else:
                self.confirmed[key] = tracking
                self._add({key: tracking})

    def found(self, wanted: Collection[ShipmentKey]) -> dict[ShipmentKey, Tracking]:
        trackings = self._trackings
        if any(key not in trackings for key in wanted):  # missing, or spelled differently in the response
            by_normalized = {key.normalized: tracking for key, tracking in trackings.items()}
            respelled = {key: by_normalized.get(key.normalized) for key in wanted if key not in trackings}
            trackings = trackings | {key: tracking for key, tracking in respelled.items() if tracking is not None}
        return {key: trackings[key] for key in wanted if key in trackings}

    def _add(self, trackings: dict[ShipmentKey, Tracking]) -> None:
        self._succeeded = True
        self._failures_in_a_row.clear()
        self._trackings |= trackings

    def _count_failure(self, error: TrackingMoreError, numbers: int) -> None:
        """Count a failed request.

        :param error: how it failed.
        :param numbers: how many numbers it had.
        :raises TrackingMoreError: the error, unless one of the numbers may be its cause.
        """
        if not isinstance(error, (ServerError, MalformedResponseError)):
            raise error
        self.failure = error
        if self._failures_in_a_row:
            last = self._failures_in_a_row[-1]
            if (type(last), last.code) != (type(error), error.code):
                self._failures_in_a_row.clear()
        self._failures_in_a_row.append(error)
        is_small = self._is_service_up or (self._succeeded and numbers < SMALL_REQUEST)
        if len(self._failures_in_a_row) >= (MAX_SMALL_REQUEST_FAILURES if is_small else MAX_SERVICE_FAILURES):
            raise error


def look_up(keys: Iterable[ShipmentKey]) -> RequestFlow[dict[ShipmentKey, Tracking | None]]:
    """Look up shipments like :func:`find_trackings`, and confirm each missing one.

    Lists sometimes omit a shipment that ``GET`` by its number returns, so missing shipments are requested one by one.
    (:func:`find_trackings` has done so already for numbers with a comma.)

    :param keys: the shipments.
    :return: an entry for each shipment; None for those that are not registered.
    :raises LookupInterruptedError: if the account or the connection fails, or some shipments could not be looked up;
        its ``found`` has all the others.
    """
    wanted = list(dict.fromkeys(keys))
    cause: TrackingMoreError | None = None
    failed: set[ShipmentKey] = set()
    confirmed: dict[ShipmentKey, Tracking | None]
    try:
        confirmed = {**(yield from find_trackings(wanted))}
    except LookupInterruptedError as error:
        if error.failed is None:
            raise
        cause, confirmed, failed = error.cause, {**error.found}, set(error.failed)
    missing = [key for key in wanted if key not in confirmed and key not in failed]
    confirmed |= dict.fromkeys(key for key in missing if "," in key.tracking_number)
    lookup = _Lookup(None, is_service_up=True)
    try:
        yield from lookup.request_single(key for key in missing if key not in confirmed)
    except TrackingMoreError as error:
        raise LookupInterruptedError(error, confirmed | lookup.confirmed) from error
    confirmed |= lookup.confirmed
    cause = lookup.failure or cause
    if cause is not None:
        raise _incomplete(cause, confirmed, [key for key in wanted if key not in confirmed]) from cause
    return {key: confirmed[key] for key in wanted}


def _incomplete(cause: TrackingMoreError, found: FoundT, failed: list[ShipmentKey]) -> LookupInterruptedError[FoundT]:
    message = f"{cause.message}; not looked up: {format_list(failed, limit=MAX_NAMED)}"
    return LookupInterruptedError(cause, found, message, failed=failed)


def filter_chunks(numbers: Sequence[str]) -> list[Sequence[str]]:
    """Divide numbers among requests: up to 40 each, and short enough for a URL.

    :param numbers: numbers without commas.
    :return: one entry per request, in order.
    """
    chunks: list[list[str]] = []
    length = 0
    for number in numbers:
        encoded = len(quote_plus(number)) + 1
        length += encoded
        if not chunks or len(chunks[-1]) == FILTER_NUMBERS or length > MAX_FILTER_CHARACTERS:
            chunks.append([])
            length = encoded
        chunks[-1].append(number)
    return list(chunks)
