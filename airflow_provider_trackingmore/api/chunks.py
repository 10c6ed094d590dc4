"""Look up any number of places, lanes or air waybills with several requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from airflow_provider_trackingmore.api.envelope import Request, RequestFlow
from airflow_provider_trackingmore.api.errors import BatchTooLargeError, TrackingMoreError
from airflow_provider_trackingmore.api.interruptions import LookupInterruptedError

T = TypeVar("T")
EntryT = TypeVar("EntryT")


def request_in_chunks(
    endpoint: Callable[[Sequence[EntryT]], Request[T]],
    entries: Sequence[EntryT],
    size: int,
    found: T,
    merge: Callable[[T, T], T],
) -> RequestFlow[T]:
    """Request entries in chunks. If the API finds a chunk too large (4020), this one and later ones are halved.

    :param endpoint: builds the request for one chunk.
    :param entries: all entries.
    :param size: entries per chunk.
    :param found: the result without any response, such as an empty list.
    :param merge: merges the result so far with that of one more response.
    :return: the merged result.
    :raises InvalidArgumentError: before any request, if an entry is invalid.
    :raises LookupInterruptedError: if a request fails; its ``found`` is the result of those before.
    """
    endpoint(entries)  # validates all entries
    start = 0
    while start < len(entries):
        chunk = entries[start : start + size]
        try:
            result = yield endpoint(chunk)
        except TrackingMoreError as error:
            if not isinstance(error, BatchTooLargeError) or len(chunk) == 1:
                raise LookupInterruptedError(error, found) from error
            size = len(chunk) // 2
        else:
            found = merge(found, result)
            start += len(chunk)
    return found
