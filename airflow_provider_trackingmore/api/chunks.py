"""Many places, lanes or air waybills in few calls. Decides which call is next; sends nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from airflow_provider_trackingmore.api.envelope import Request, RequestFlow
from airflow_provider_trackingmore.api.errors import BatchTooLargeError, TrackingMoreError

T = TypeVar("T")
EntryT = TypeVar("EntryT")


def request_in_chunks(
    endpoint: Callable[[Sequence[EntryT]], Request[T]],
    entries: Sequence[EntryT],
    size: int,
    found: T,
    add: Callable[[T, T], T],
) -> RequestFlow[T]:
    """Look up any number of entries. A call that is too large for the vendor (4020) is halved, and so are later ones.

    :param endpoint: builds the call for some of them.
    :param entries: all of them; an entry that cannot be sent is refused before the first call.
    :param size: entries in one call.
    :param found: what to begin with.
    :param add: puts what was found and one more answer together.
    :return: everything.
    :raises InvalidArgumentError: before any call, if an entry cannot be sent.
    :raises TrackingMoreError: when a call fails; its ``found`` is what the others before it brought.
    """
    endpoint(entries)
    begin = 0
    while begin < len(entries):
        chunk = entries[begin : begin + size]
        try:
            answer = yield endpoint(chunk)
        except TrackingMoreError as error:
            if not isinstance(error, BatchTooLargeError) or len(chunk) == 1:
                error.found = found
                raise
            size = len(chunk) // 2
        else:
            found = add(found, answer)
            begin += len(chunk)
    return found
