"""Look up any number of shipments with few requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
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
from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS, MAX_FILTER_CHARACTERS
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking

FAILURES_OF_SERVICE = 3
"""So many calls of a look-up that fail alike, one after the other, are the service and not the numbers in them."""


FEW_NUMBERS = 10


FAILURES_OF_FEW = 10
"""Calls with fewer numbers may fail in a row because their numbers stand side by side: so many are needed of those."""


NAMED = 5
"""So many shipments are named in a message."""


def find_trackings(keys: Iterable[ShipmentKey], lang: str | None = None) -> RequestFlow[dict[ShipmentKey, Tracking]]:
    """Look up shipments, at most 40 numbers a call.

    Two carriers may share a number, so a tracking counts only for the shipment with its carrier. A number that the
    ``numbers`` filter cannot take (a comma in it) is asked for alone, and so is a single shipment in a language.

    A call that fails on the server's side, or whose answer is malformed, may do so because of one of its numbers: all
    others are asked for first, and then its halves. When the first three calls fail alike, or three large ones in a row
    later on, it is the service, and nothing more is asked for.

    :param keys: the shipments.
    :param lang: language of the carriers' texts, two letters; None for the carrier's own.
    :return: those that are registered.
    :raises TrackingMoreError: when the account or the connection fails, or some shipments could not be looked up; its
        ``found`` is what was found all the same.
    """
    wanted = list(dict.fromkeys(keys))
    lookup = _Lookup(lang)
    is_alone = lang is not None and len(wanted) == 1
    single = [key for key in wanted if is_alone or "," in key.tracking_number]
    listable = [key for key in wanted if not (is_alone or "," in key.tracking_number)]
    numbers = list(dict.fromkeys(key.tracking_number for key in listable))
    try:
        yield from lookup.by_numbers(filter_chunks(numbers))
        yield from lookup.one_by_one(single)
        failed = [key for key in wanted if key.tracking_number in lookup.failed_numbers]
        if lookup.failure is not None and failed:
            error = lookup.failure
            more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
            error.args = (f"{error.message}; not looked up: {', '.join(map(str, failed[:NAMED]))}{more}",)
            raise error
    except TrackingMoreError as error:
        error.found = lookup.found(wanted)
        raise
    return lookup.found(wanted)


class _Lookup:
    """What a look-up has found so far, and which of its calls failed."""

    def __init__(self, lang: str | None) -> None:
        self._lang = lang
        self.failure: TrackingMoreError | None = None
        self.failed_numbers: set[str] = set()
        self._trackings: dict[tuple[str, str], Tracking] = {}
        self._succeeded = False
        self._alike: list[TrackingMoreError] = []

    def by_numbers(self, divided: Iterable[Sequence[str]]) -> RequestFlow[None]:
        queue = deque(divided)
        while queue:
            numbers = queue.popleft()
            try:
                page = yield endpoints.list_page({"numbers": numbers, **({"lang": self._lang} if self._lang else {})})
            except TrackingMoreError as error:
                if not (isinstance(error, ApiError) and error.code in SPLITTABLE_CODES):
                    self._count(error, len(numbers))
                    if len(numbers) == 1:
                        self.failed_numbers.update(numbers)
                if len(numbers) > 1:
                    middle = len(numbers) // 2
                    queue.extend((numbers[:middle], numbers[middle:]))
            else:
                self._add(page.items)

    def one_by_one(self, keys: Iterable[ShipmentKey]) -> RequestFlow[None]:
        for key in keys:
            try:
                self._add([(yield endpoints.get_tracking(*key, lang=self._lang))], key)
            except (TrackingNotFoundError, InvalidRequestError) as error:
                if not error.from_api:
                    raise
            except TrackingMoreError as error:
                self._count(error, 1)
                self.failed_numbers.add(key.tracking_number)

    def found(self, wanted: Iterable[ShipmentKey]) -> dict[ShipmentKey, Tracking]:
        return {key: self._trackings[key.normalized] for key in wanted if key.normalized in self._trackings}

    def _add(self, trackings: Iterable[Tracking], key: ShipmentKey | None = None) -> None:
        self._succeeded = True
        self._alike.clear()
        self._trackings.update(((key or tracking.key).normalized, tracking) for tracking in trackings)

    def _count(self, error: TrackingMoreError, numbers: int) -> None:
        """Count a failed call.

        :param error: how it failed.
        :param numbers: how many it named.
        :raises TrackingMoreError: the error, if it is no matter of the numbers in the call.
        """
        if not isinstance(error, (ServerError, MalformedResponseError)):
            raise error
        self.failure = error
        if self._alike and (type(self._alike[-1]), self._alike[-1].code) != (type(error), error.code):
            self._alike.clear()
        self._alike.append(error)
        few = self._succeeded and numbers < FEW_NUMBERS
        if len(self._alike) >= (FAILURES_OF_FEW if few else FAILURES_OF_SERVICE):
            raise error


def look_up(keys: Iterable[ShipmentKey]) -> RequestFlow[dict[ShipmentKey, Tracking | None]]:
    """Look up shipments like :func:`find_trackings`, and make sure before one is called missing.

    Lists sometimes leave out a shipment that ``GET`` by its number knows, so each one that is missing is asked for
    alone. (:func:`find_trackings` asks for numbers with a comma alone already.)

    :param keys: the shipments.
    :return: one entry per shipment; None for those that are not registered.
    :raises TrackingMoreError: when the account or the connection fails.
    """
    wanted = list(dict.fromkeys(keys))
    found: dict[ShipmentKey, Tracking | None] = dict((yield from find_trackings(wanted)))
    for key in wanted:
        if key not in found and "," not in key.tracking_number:
            found[key] = yield from _get_one(key)
    return {key: found.get(key) for key in wanted}


def _get_one(key: ShipmentKey) -> RequestFlow[Tracking | None]:
    """Ask for one shipment by its number; None when TrackingMore does not know it."""
    try:
        tracking: Tracking = yield endpoints.get_tracking(*key)
    except (TrackingNotFoundError, InvalidRequestError) as error:
        if not error.from_api:
            raise
        return None
    return tracking


def filter_chunks(numbers: Sequence[str]) -> list[Sequence[str]]:
    """Divide numbers among calls: at most 40 each, and encoded no longer than a URL may be.

    :param numbers: numbers without commas.
    :return: one entry per call, in order.
    """
    divided: list[list[str]] = []
    length = 0
    for number in numbers:
        encoded = len(quote_plus(number)) + 1
        length += encoded
        if not divided or len(divided[-1]) == FILTER_NUMBERS or length > MAX_FILTER_CHARACTERS:
            divided.append([])
            length = encoded
        divided[-1].append(number)
    return list(divided)
