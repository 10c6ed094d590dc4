"""List all trackings exactly once, even if the account changes while the list is read.

Pages shift: if a row is added or removed between two requests, page 7 repeats rows of page 6 or skips some. Only
``created_at`` never changes. So instead of requesting "the next page", a listing divides time into spans that each fit
into one response. Every row belongs to one span by its ``created_at``: no row is returned twice, none that existed all
the time is missed, and only the current response has to be kept in memory.

The order of the rows is not documented (newest first is common). If a response is in that order, and has more distinct
seconds than chance would sort, its last row marks the end of the next span, which costs no extra request. The totals of
both responses must agree, or else the span is requested separately. In any other order, a span that is too large is
divided at the median of the rows seen. It is not documented either whether the bounds of the filters are inclusive: a
span is requested with one more second at each end and trimmed here. At the user's own bounds, the API decides.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence, Set
from itertools import pairwise
from typing import TypeAlias, cast

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import MalformedResponseError
from airflow_provider_trackingmore.api.filters import ListFilters, filter_query
from airflow_provider_trackingmore.api.limits import END_OF_YEAR_2099, PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.resources import Page

ListingFlow: TypeAlias = Generator["Request[Page] | Sequence[Tracking]", "Page | None", None]
"""Yields a request and receives its page, or yields rows for the caller and receives None."""

MIN_SORTED_RUN = 12
"""A response with this many different seconds in descending order is sorted: the odds of chance are 1 in 12!."""

MAX_EMPTY_PAGES = 200
"""Consecutive responses without a row of the requested time. If the totals are correct, halving needs 32 steps to reach
a single second; with wrong totals it would request every second since 1970."""

MAX_ROUNDS = 10
"""How often the pages of one second are read, if its rows keep changing."""


def list_trackings(filters: Mapping[str, object], *, page_size: int = PAGE_SIZE) -> ListingFlow:
    """List all matching trackings once.

    :param filters: keys of :class:`ListFilters`.
    :param page_size: rows per response, 1 to 2000.
    :return: the flow; send it the page of each request.
    :raises InvalidArgumentError: if a filter is invalid, before any request.
    """
    query = filter_query(filters)
    low = int(query.get("created_at_min", 0))
    high = int(query.get("created_at_max", END_OF_YEAR_2099))  # not "now": the server's clock may differ from ours
    listing = _Listing(filters, page_size, low, high)
    # The first request has the user's own filters only: for most accounts it is the only one.
    page = yield from listing.fetch(listing.request(filters))
    if listing.is_complete(page):
        yield page.items
    elif low <= high:
        yield from listing.newest_first(page, low, high)


class _Listing:
    def __init__(self, filters: Mapping[str, object], page_size: int, low: int, high: int) -> None:
        self.filters = filters
        self.page_size = page_size
        self.bounds = low, high
        self.undated: set[ShipmentKey] = set()
        self.is_sorted = False

    def request(self, filters: Mapping[str, object], number: int = 1) -> Request[Page]:
        return endpoints.list_page(cast(ListFilters, dict(filters)), page=number, limit=self.page_size)

    def span(self, low: int, high: int, number: int = 1) -> Request[Page]:
        """Request the rows created in ``low..high``, and one more second at each end that is not the user's bound."""
        first, last = self.bounds
        filters = {"created_at_min": max(low - 1, first), "created_at_max": min(high + 1, last)}
        return self.request({**self.filters, **filters}, number)

    @staticmethod
    def fetch(request: Request[Page]) -> Generator[Request[Page], Page | None, Page]:
        page = yield request
        assert page is not None, "a request is answered with its page"  # noqa: S101
        return page

    def is_complete(self, page: Page) -> bool:
        """Whether a response has all matching rows. An empty one is the last, whatever its total."""
        if page.total is None or not page.items:
            return len(page.items) < self.page_size
        return page.total <= len(page.items)

    def trim(self, page: Page, low: int, high: int) -> list[Tracking]:
        """Return the rows of this span. Rows without a date belong to no span, so they are remembered instead."""
        kept = []
        for row in page.items:
            second = _created_second(row)
            if second is None:
                if row.key not in self.undated:
                    self.undated.add(row.key)
                    kept.append(row)
            elif low <= second <= high:
                kept.append(row)
        return kept

    def oldest_if_sorted(self, page: Page) -> int | None:
        """Return the oldest second of a response that is sorted newest first; None if it is not, or only by chance."""
        seconds = [_created_second(row) for row in page.items]
        known = [second for second in seconds if second is not None]
        if not known or len(known) < len(seconds) or any(a < b for a, b in pairwise(known)):
            return None
        self.is_sorted = self.is_sorted or len(set(known)) >= MIN_SORTED_RUN
        return known[-1] if self.is_sorted else None

    def newest_first(self, page: Page, low: int, high: int) -> ListingFlow:
        """Go back in time, with the last row of each response as the end of the next span."""
        while True:
            oldest = self.oldest_if_sorted(page)
            if oldest is None or page.total is None or oldest >= high:
                # Another order, or more rows in the newest second than fit into a response.
                yield from self.bisect(low, high, page=page)
                return
            # The oldest second may continue after the end of this response: leave it for the next one.
            rows = self.trim(page, oldest + 1, high)
            yield rows
            expected = page.total - _count_newer(page, oldest)
            page = yield from self.fetch(self.span(low, oldest))
            if page.total is None or page.total - _count_newer(page, oldest) != expected:
                # Rows were added or removed, or the order is another one: request that span separately. A row of the
                # new response may have been deleted and registered again: do not return it twice.
                older = {row.key for row in page.items if (_created_second(row) or 0) <= oldest}
                yield from self.bisect(oldest + 1, high, older.union(row.key for row in rows))
            high = oldest
            if self.is_complete(page):
                yield self.trim(page, low, high)
                return

    def bisect(
        self, low: int, high: int, known: Set[ShipmentKey] = frozenset(), page: Page | None = None
    ) -> ListingFlow:
        """Halve a span until each part fits into a response.

        The newer parts come first: a row that is deleted and registered again moves up, so it is not found twice.

        :param known: rows that are not returned again.
        :param page: the response for the whole span, if there is one.
        """
        spans = [(low, high)]
        empty_pages = 0
        while spans:
            low, high = spans.pop()
            page = page or (yield from self.fetch(self.span(low, high)))
            seconds = sorted(second for row in page.items if (second := _created_second(row)) is not None)
            empty_pages = 0 if any(low - 1 <= second <= high + 1 for second in seconds) else empty_pages + 1
            if empty_pages > MAX_EMPTY_PAGES:
                raise MalformedResponseError(
                    "GET /trackings/get: TrackingMore reports a larger total than it returns shipments, so the list "
                    "cannot be divided: use filters that match fewer shipments"
                )
            if self.is_complete(page):
                rows = [row for row in self.trim(page, low, high) if row.key not in known]
                empty_pages = 0 if rows else empty_pages
                yield rows
            elif low < high:
                middle = seconds[len(seconds) // 2] if seconds else (low + high) // 2
                middle = min(max(middle, low), high - 1)
                spans += [(low, middle), (middle + 1, high)]
            else:
                yield from self.single_second(low, known)
            page = None

    def single_second(self, second: int, known: Set[ShipmentKey]) -> ListingFlow:
        """Read a second with more rows than fit into a response, page by page until two rounds return the same rows.

        A row that one round misses because another one was removed is found in the next round.
        """
        returned = set(known)
        last_round: set[ShipmentKey] | None = None
        for _ in range(MAX_ROUNDS):
            this_round: set[ShipmentKey] = set()
            number = 1
            while (page := (yield from self.fetch(self.span(second, second, number)))).items:
                rows = [row for row in self.trim(page, second, second) if row.key not in returned]
                returned.update(row.key for row in rows)
                before = len(this_round)
                this_round.update(row.key for row in page.items)
                yield rows
                if len(page.items) < self.page_size or len(this_round) == before:
                    break
                number += 1
            if this_round == last_round:
                return
            last_round = this_round


def _created_second(row: Tracking) -> int | None:
    return int(row.created_at.timestamp()) if row.created_at is not None else None


def _count_newer(page: Page, second: int) -> int:
    return sum(1 for row in page.items if (_created_second(row) or 0) > second)
