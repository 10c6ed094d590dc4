"""Read a list of changes that is longer than a page, although its rows move while it is read.

A shipment that changes again gets another place in the list. With page numbers, all rows in between shift, and one of
them is skipped. So the list is divided by the time of the changes into spans that each fit into one response, and read
from the oldest span to the newest. All spans but the last one end in the past, so no change is added to them any more.
A row that leaves a span before it is read has changed again, so it is in a later one. Thus the list has every change
before the response for the last span.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from airflow_provider_trackingmore.api.filters import ListFilters
from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.planner import pages
from airflow_provider_trackingmore.waiting.responses import ObservedPage, ObservedRow

FILL = 0.9
"""Spans are chosen to fill this share of a page. The rest is for uneven traffic, and for the overlap of spans."""
DENSE = 0.05
"""If a single second has more than this share of a page, the span is read page by page: spans would overlap too much.
Such rows come from a bulk change, so they are unlikely to move while they are read."""
CALLS_PER_PAGE = 3
"""A list that takes more calls than this for each page, and three more, is abandoned: it cannot be divided."""


class ChangeList:
    """Decides which requests read a list of changes. Times are Unix seconds of the vendor's clock.

    :param since: where the list begins.
    :param until: a time that has passed on the vendor's clock. The list is only divided before it.
    :param rows_per_second: how many shipments change per second, judging by the previous list; 0 if that is unknown.
    """

    def __init__(self, since: int, until: float = 0.0, rows_per_second: float = 0.0) -> None:
        self._spans: list[tuple[int, int | None]] = [(since, None)]
        seconds = max(until - since, 0.0)
        if (rows := int(seconds * rows_per_second)) > PAGE_SIZE:
            self._divide(_even_cuts(since, seconds, _spans_for(rows)))
        self._begin = since
        self._until = until
        self._past_rows = 0
        self._calls = 0
        self._read_rows = 0
        self._open_rows = 0
        self._number = 1
        self._seen: set[ShipmentKey] = set()

    @property
    def is_at_last_span(self) -> bool:
        """Whether the next request is the first one for the last span, as far as is known."""
        return len(self._spans) == 1 and self._number == 1

    @property
    def rows(self) -> int:
        """How many rows the responses so far have announced. Rows at the border of two spans count twice."""
        return self._read_rows + self._open_rows

    @property
    def rows_per_second(self) -> float:
        """How many shipments change per second; 0 if that is unknown."""
        seconds = self._until - self._begin
        return self._past_rows / seconds if seconds > 0 else 0.0

    def next_request(self) -> tuple[ListFilters, int] | None:
        """Return the filters and the page number of the next request; None if the list was read to its end."""
        if not self._spans:
            return None
        low, high = self._spans[0]
        # It is not documented whether the bounds are inclusive, so a span begins a second before the previous one ends.
        filters: ListFilters = {"update_time_min": low if low == self._begin else low - 1}
        if high is not None:
            filters["update_time_max"] = high
        return filters, self._number

    def add(self, page: ObservedPage, until: float) -> bool:
        """Process a response.

        :param page: the response to the last request.
        :param until: a time that has passed by now. Some rows may have later ones.
        :return: False if rows may have been skipped and the list must be abandoned.
        """
        self._calls += 1
        self._until = until
        self._past_rows += sum(1 for row in page.rows if (row.updated or math.inf) <= until)
        _, high = self._spans[0]
        if high is not None and any(row.updated is not None and row.updated > high + 1 for row in page.rows):
            return False  # TrackingMore ignores the end of the span
        total = page.total
        if total is None:
            total = len(page.rows) if page.is_last else 2 * len(page.rows)
        if self._number == 1:
            self._open_rows = total
            if not page.is_last and total > len(page.rows):
                if cuts := self._choose_cuts(page.rows, total):
                    self._divide(cuts)
                    return self._calls <= CALLS_PER_PAGE * (pages(self.rows) + 1)
                if page.total is None:
                    return False
        elif total != self._open_rows:
            return False
        self._seen.update(page.keys)
        if not page.is_last and self._number < pages(total):
            self._number += 1
            return True
        is_complete = self._number == 1 or len(self._seen) == total
        self._read_rows += total
        self._open_rows = 0
        self._number = 1
        self._seen.clear()
        del self._spans[0]
        return is_complete

    def _divide(self, cuts: Sequence[int]) -> None:
        """Divide the next span."""
        low, high = self._spans[0]
        self._spans[:1] = zip([low, *cuts], [*cuts, high], strict=True)

    def _choose_cuts(self, rows: Sequence[ObservedRow], total: int) -> list[int]:
        """Return where to divide a span, judging by the rows of a response that has only some of its rows."""
        low, high = self._spans[0]
        end = min(self._until, math.inf if high is None else high)
        in_order = [row.updated for row in rows if row.updated is not None and low <= row.updated <= end]
        if not in_order:
            return []
        times = sorted(in_order)
        past_rows = total * len(times) // len(rows)
        if total - past_rows > FILL * PAGE_SIZE:
            return []
        parts, seconds = _spans_for(past_rows), times[-1] - low
        _, densest = Counter(map(int, times)).most_common(1)[0]
        if in_order == times:  # the oldest changes come first, so the others happened later
            cuts = _even_cuts(low, seconds * total / len(rows), parts)
        elif in_order == times[::-1]:
            cuts = _even_cuts(low, seconds, parts)
        else:
            cuts = [int(times[len(times) * part // parts]) for part in range(1, parts)]
            densest = densest * total // len(rows)
        if densest > max(DENSE * PAGE_SIZE, 2):
            return []
        return sorted({cut for cut in cuts if low + 1 < cut < end - 1})


def _spans_for(rows: int) -> int:
    """Return how many spans are needed for this many rows."""
    return math.ceil(rows / max(FILL * PAGE_SIZE, 1))


def _even_cuts(low: int, seconds: float, parts: int) -> list[int]:
    return sorted({low + int(seconds * part / parts) for part in range(1, parts)} - {low})
