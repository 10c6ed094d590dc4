"""Check shipments by list: page by page, all shipments or those that have changed."""

from __future__ import annotations

import math

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.filters import ListFilters
from airflow_provider_trackingmore.waiting.calls import PollerCalls
from airflow_provider_trackingmore.waiting.cooperative import cooperatively
from airflow_provider_trackingmore.waiting.known_lists import (
    LIST_MEMORY_SECONDS,
    REFUSED_LIST_SECONDS,
    SHIFTED_CHANGES_SECONDS,
)
from airflow_provider_trackingmore.waiting.number_checks import NumberChecks
from airflow_provider_trackingmore.waiting.planner import is_long, pages
from airflow_provider_trackingmore.waiting.registry import Subscription
from airflow_provider_trackingmore.waiting.schedule import Due, is_overdue


class ListChecks:
    """Checks shipments of one poller by list. Between two pages it checks overdue shipments by number.

    :param calls: sends the calls.
    :param numbers: checks by number.
    """

    def __init__(self, calls: PollerCalls, numbers: NumberChecks) -> None:
        self._calls = calls
        self._state = calls.state
        self._recorder = calls.recorder
        self._failures = calls.failures
        self._clock = calls.clock
        self._numbers = numbers

    async def check_everything(self, due: Due, max_calls: int, now: float) -> None:
        """Read the list of everything registered since the oldest open shipment, unless it is too long.

        :param due: the due shipments. Those that the list leaves out are checked by number for a while.
        :param max_calls: a list with more pages than this is abandoned.
        :param now: event loop time in seconds.
        """
        if await self._read_everything(due.created_since, max_calls):
            for shipment in due.shipments:
                if shipment.fully_checked_at < now:
                    shipment.list_again_at = now + LIST_MEMORY_SECONDS

    async def _read_everything(self, since: float, max_calls: int) -> bool:
        """Read the list, and return whether the end was reached."""
        filters: ListFilters = {"created_at_min": int(since)} if since else {}
        lists = self._state.lists
        number = 0
        while True:
            number += 1
            try:
                page = await self._calls.request_page(filters, number)
            except TrackingMoreError as error:
                if self._failures.list_failed(error):
                    lists.avoid_everything(self._clock(), REFUSED_LIST_SECONDS)
                return False
            if number == 1:
                lists.record_everything(since, page.total, self._clock())
            await self._recorder.record_page(page)
            if page.is_last or (page.total is not None and number >= pages(page.total)):
                return True
            if page.total is None or pages(page.total) > max(max_calls, number):
                return False
            await self.check_overdue()

    async def check_changes(self, due: Due) -> None:
        """Read the list of changes. Only if it is read to its end does it count as a check of every shipment.

        :param due: the due shipments. A list that takes as many calls as checks by number is abandoned.
        """
        lists = self._state.lists
        changes = lists.begin_changes(self._clock())
        seen_until = -math.inf
        request = changes.next_request()
        while request is not None:
            try:
                page = await self._calls.request_page(*request)
            except TrackingMoreError as error:
                if self._failures.list_failed(error):
                    lists.avoid_changes(self._clock(), REFUSED_LIST_SECONDS)
                return
            if changes.is_at_last_span:
                seen_until = self._clock()
            await self._recorder.record_page(page)
            if not changes.add(page, lists.cursor.earliest_now(self._clock())):
                lists.avoid_changes(self._clock(), SHIFTED_CHANGES_SECONDS)
                return
            request = changes.next_request()
            if request is not None:
                if is_long(changes.rows, due.listable):
                    lists.record_long_changes(changes.rows, self._clock())
                    return
                await self.check_overdue()
        lists.changes_per_second = changes.rows_per_second
        await self.confirm_unchanged(due, changes.rows, seen_until)

    async def confirm_unchanged(self, due: Due, rows: int, seen_until: float) -> None:
        """Record that the list of changes was read to its end: shipments that it does not contain are unchanged.

        :param due: the shipments that were due.
        :param rows: the number of rows in the list.
        :param seen_until: the list has every change until then, in event loop time.
        """
        self._state.lists.record_changes(rows, seen_until)
        updated: dict[Subscription, None] = {}
        async for shipment in cooperatively(due.shipments):
            shipment.record_unchanged()
            updated |= dict.fromkeys(self._state.registry.publish_known(shipment))
        for subscription in updated:
            subscription.notify()

    async def check_overdue(self) -> None:
        """Between two pages of a long list, check shipments that are late by an interval or need their last check."""
        now = self._clock()
        if now < self._state.nothing_overdue_until:
            return
        due = await self._state.find_due(now)
        due.shipments = [shipment for shipment in due.shipments if is_overdue(shipment, now)]
        if due.shipments and now >= self._state.health.paused_until:
            await self._numbers.check_most_urgent(due, now)
