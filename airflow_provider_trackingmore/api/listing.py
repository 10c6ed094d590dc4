"""How to list everything exactly once while it changes. Decides which page is asked for next; sends nothing itself.

Pages move: a row that is added or removed while a listing runs shifts all that follow, so page 7 repeats rows of page 6
or skips some. ``created_at`` never moves. So this listing never asks for "the next page": it cuts time into spans, each
small enough for one answer, and takes each span from a single answer. A row belongs to one span by its ``created_at``;
no row is met twice, none that was there throughout is missed, and nothing has to be remembered but the current answer.

The vendor's order is undocumented (newest first is seen). An answer in that order, with more different seconds than
chance would sort, tells where the next span ends, which costs no extra call; the totals of the answers must agree, and
where they do not the span is asked for by itself. Without that order, a span that is too large is cut at the middle of
the rows seen. Whether the filters' ends are inclusive is undocumented as well: a span is asked for with a second more
at each end, and cut here; at the user's own ends the vendor's reading counts.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence, Set
from itertools import pairwise
from typing import Any, TypeAlias, cast

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import MalformedResponseError
from airflow_provider_trackingmore.api.filters import ListFilters, filter_query
from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.resources import Page

ListingFlow: TypeAlias = Generator["Request[Page] | Sequence[Tracking]", "Page | None", None]
"""Yields a request and is sent its page, or yields rows to hand on and is sent None."""

_END_OF_TIME = 4102444800
"""The year 2100. Not "now": the server's clock need not be ours."""

MIN_SORTED_RUN = 12
"""An answer with as many different seconds in falling order is sorted: chance does that once in 12!."""

MAX_EMPTY_PAGES = 200
"""So many answers in a row without a row of the time asked for: halving comes to one in 32 steps, if the totals are
true. With totals that are not, it would go on to every second since 1970."""

_ROUNDS = 10
"""How often the pages of one second are turned at most when its rows never rest."""


def list_trackings(filters: Mapping[str, Any], *, page_size: int = PAGE_SIZE) -> ListingFlow:
    """List all trackings that match, each once.

    :param filters: as :class:`ListFilters` names them.
    :param page_size: rows of one answer, 1 to 2000.
    :return: the walk; drive it by sending each request's page back into it.
    :raises InvalidArgumentError: if a filter is wrong, before any call.
    """
    query = filter_query(filters)
    low = int(query.get("created_at_min", 0))
    high = int(query.get("created_at_max", _END_OF_TIME))
    walk = _Listing(filters, page_size, low, high)
    # The first call carries the user's own filters and nothing else: for most accounts it is the only one.
    page = yield from walk.ask(walk.request(filters))
    if walk.complete(page):
        yield page.items
    elif low <= high:
        yield from walk.newest_first(page, low, high)


class _Listing:
    def __init__(self, filters: Mapping[str, Any], page_size: int, low: int, high: int) -> None:
        self.filters = filters
        self.page_size = page_size
        self.ends = low, high
        self.undated: set[ShipmentKey] = set()
        self.sorted = False

    def request(self, filters: Mapping[str, Any], number: int = 1) -> Request[Page]:
        return endpoints.list_page(cast(ListFilters, dict(filters)), page=number, limit=self.page_size)

    def span(self, low: int, high: int, number: int = 1) -> Request[Page]:
        """The rows created in ``low..high``, and those of a second more at each end that is not the user's own."""
        first, last = self.ends
        filters = {"created_at_min": max(low - 1, first), "created_at_max": min(high + 1, last)}
        return self.request({**self.filters, **filters}, number)

    @staticmethod
    def ask(request: Request[Page]) -> Generator[Request[Page], Page | None, Page]:
        page = yield request
        assert page is not None, "a request is answered with its page"  # noqa: S101
        return page

    def complete(self, page: Page) -> bool:
        """Whether this answer holds all that its filters match. Behind an empty one is nothing, whatever its total."""
        if page.total is None or not page.items:
            return len(page.items) < self.page_size
        return page.total <= len(page.items)

    def cut(self, page: Page, low: int, high: int) -> list[Tracking]:
        """The answer's rows of this span. One without a date cannot be placed, so it is remembered instead."""
        kept = []
        for row in page.items:
            second = _second(row)
            if second is None:
                if row.key not in self.undated:
                    self.undated.add(row.key)
                    kept.append(row)
            elif low <= second <= high:
                kept.append(row)
        return kept

    def end_of_descending(self, page: Page) -> int | None:
        """The oldest second of an answer that is sorted newest first; None when it is not, or may be by chance."""
        seconds = [_second(row) for row in page.items]
        known = [second for second in seconds if second is not None]
        if not known or len(known) < len(seconds) or any(a < b for a, b in pairwise(known)):
            return None
        self.sorted = self.sorted or len(set(known)) >= MIN_SORTED_RUN
        return known[-1] if self.sorted else None

    def newest_first(self, page: Page, low: int, high: int) -> ListingFlow:
        """Go down in time, taking the end of each span from the answer before."""
        while True:
            oldest = self.end_of_descending(page)
            if oldest is None or page.total is None or oldest >= high:
                # Another order, or more rows in the newest second than an answer holds.
                yield from self.halves(low, high, page=page)
                return
            # The oldest second may go on behind the end of this answer: it is left for the next one.
            rows = self.cut(page, oldest + 1, high)
            yield rows
            below = page.total - _later_than(page, oldest)
            page = yield from self.ask(self.span(low, oldest))
            if page.total is None or page.total - _later_than(page, oldest) != below:
                # Rows came or went meanwhile, or the order is another: ask for that span by itself. A row of the answer
                # below may have been deleted and registered again since: it is not to come from both.
                below_it = {row.key for row in page.items if (_second(row) or 0) <= oldest}
                yield from self.halves(oldest + 1, high, below_it.union(row.key for row in rows))
            high = oldest
            if self.complete(page):
                yield self.cut(page, low, high)
                return

    def halves(
        self, low: int, high: int, known: Set[ShipmentKey] = frozenset(), page: Page | None = None
    ) -> ListingFlow:
        """Halve a span until each part fits one answer, the newer parts first: a row that is deleted and registered
        again moves up, so it is not met a second time.

        :param known: rows that are not handed on again.
        :param page: the answer for the whole span, where there is one.
        """
        spans = [(low, high)]
        in_vain = 0
        while spans:
            low, high = spans.pop()
            page = page or (yield from self.ask(self.span(low, high)))
            seconds = sorted(second for row in page.items if (second := _second(row)) is not None)
            in_vain = 0 if any(low - 1 <= second <= high + 1 for second in seconds) else in_vain + 1
            if in_vain > MAX_EMPTY_PAGES:
                raise MalformedResponseError(
                    "GET /trackings/get: TrackingMore counts more shipments than it shows, whatever time is asked for, "
                    "so the list cannot be had in parts: ask with filters that match fewer"
                )
            if self.complete(page):
                rows = [row for row in self.cut(page, low, high) if row.key not in known]
                in_vain = 0 if rows else in_vain
                yield rows
            elif low < high:
                middle = seconds[len(seconds) // 2] if seconds else (low + high) // 2
                middle = min(max(middle, low), high - 1)
                spans += [(low, middle), (middle + 1, high)]
            else:
                yield from self.one_second(low, known)
            page = None

    def one_second(self, second: int, known: Set[ShipmentKey]) -> ListingFlow:
        """More rows in one second than an answer holds: turn its pages until two rounds show the same rows. A row that
        slips through a round, because another one left meanwhile, shows in the next, where the other one does not.
        """
        seen = set(known)
        before: set[ShipmentKey] | None = None
        for _ in range(_ROUNDS):
            shown: set[ShipmentKey] = set()
            number = 1
            while (page := (yield from self.ask(self.span(second, second, number)))).items:
                rows = [row for row in self.cut(page, second, second) if row.key not in seen]
                seen.update(row.key for row in rows)
                turned = len(shown)
                shown.update(row.key for row in page.items)
                yield rows
                if len(page.items) < self.page_size or len(shown) == turned:
                    break
                number += 1
            if shown == before:
                return
            before = shown


def _second(row: Tracking) -> int | None:
    return int(row.created_at.timestamp()) if row.created_at is not None else None


def _later_than(page: Page, second: int) -> int:
    return sum(1 for row in page.items if (_second(row) or 0) > second)
