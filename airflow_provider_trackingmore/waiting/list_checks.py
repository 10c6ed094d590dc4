"""Checks by list: page after page of everything, or of what has changed."""

from __future__ import annotations

import math
from collections.abc import Callable

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.filters import ListFilters
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.answers import ObservedPage, page_request
from airflow_provider_trackingmore.waiting.failure_handling import FailureHandler
from airflow_provider_trackingmore.waiting.lists import (
    LIST_MEMORY_SECONDS,
    LONG_CHANGES_SECONDS,
    LONG_LIST_SECONDS,
    SHIFTED_CHANGES_SECONDS,
)
from airflow_provider_trackingmore.waiting.number_checks import NumberChecks
from airflow_provider_trackingmore.waiting.planner import number_calls, pages
from airflow_provider_trackingmore.waiting.recorder import Recorder
from airflow_provider_trackingmore.waiting.schedule import Due
from airflow_provider_trackingmore.waiting.sender import Sender
from airflow_provider_trackingmore.waiting.state import PollerState


class ListChecks:
    """Checks shipments of one poller by list. Between two pages it checks by number what is overdue.

    :param sender: sends the calls.
    :param state: what the poller knows.
    :param recorder: takes in the answers.
    :param failures: acts on failed calls.
    :param numbers: checks by number.
    :param clock: seconds of the event loop.
    :param wall_clock: unix seconds.
    """

    def __init__(
        self,
        sender: Sender,
        state: PollerState,
        recorder: Recorder,
        failures: FailureHandler,
        numbers: NumberChecks,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._sender = sender
        self._state = state
        self._recorder = recorder
        self._failures = failures
        self._numbers = numbers
        self._clock = clock
        self._wall_clock = wall_clock

    async def check_everything(self, due: Due, max_calls: int, now: float) -> None:
        """Read the list of everything registered since the oldest open shipment, as far as that is worth it.

        :param due: what is due. What the list leaves out is asked for by number for a while.
        :param max_calls: a longer list is not read to its end.
        :param now: seconds of the event loop.
        """
        if await self._read_everything(due.created_since, max_calls):
            for shipment in due.shipments:
                if shipment.fully_checked_at < now:
                    shipment.list_again_at = now + LIST_MEMORY_SECONDS

    async def _read_everything(self, since: float, max_calls: int) -> bool:
        """Read the list; return whether its end was reached."""
        filters: ListFilters = {"created_at_min": int(since)} if since else {}
        lists = self._state.lists
        number = 0
        while True:
            number += 1
            try:
                page = await self._request_page(filters, number)
            except TrackingMoreError as error:
                if self._failures.list_failed(error):
                    lists.avoid_everything(self._clock(), LONG_CHANGES_SECONDS)
                return False
            self._failures.call_succeeded()
            if number == 1:
                lists.record_everything(since, page.total, self._clock())
            await self._recorder.record_page(page)
            if page.is_last or (page.total is not None and number >= pages(page.total)):
                return True
            if page.total is None or pages(page.total) > max(max_calls, number):
                lists.avoid_everything(self._clock(), LONG_LIST_SECONDS)
                return False
            await self._check_overdue()

    async def check_changes(self, due: Due) -> None:
        """Read the list of what has changed. Only if it was read to its end does it count as a check of everything.

        :param due: what is due. A list that takes more calls than checking these by number is not read to its end.
        """
        lists = self._state.lists
        since = lists.cursor.since
        seen: set[ShipmentKey] = set()
        began = math.inf
        total: int | None = None
        number = 0
        while True:
            number += 1
            try:
                page = await self._request_page({"update_time_min": since or 0}, number)
            except TrackingMoreError as error:
                if self._failures.list_failed(error):
                    lists.avoid_changes(self._clock(), LONG_CHANGES_SECONDS)
                return
            self._failures.call_succeeded()
            began = min(began, self._clock())
            rows = len(page.rows) if page.total is None else page.total
            seen.update(page.keys)
            await self._recorder.record_page(page)
            if number == 1 and 1 < pages(rows) >= number_calls(due.listable):
                lists.avoid_changes(self._clock(), LONG_CHANGES_SECONDS)
                return
            if number > 1 and rows != total:
                break
            total = rows
            if page.is_last or number >= pages(rows):
                break
            await self._check_overdue()
        if number > 1 and (rows != total or len(seen) != total):
            # Rows came or went while the pages were read, so some may have been skipped.
            lists.avoid_changes(self._clock(), SHIFTED_CHANGES_SECONDS)
            return
        lists.record_changes(rows, began)
        for shipment in due.shipments:
            shipment.record_unchanged()

    async def _request_page(self, filters: ListFilters, number: int) -> ObservedPage:
        request = page_request(filters, number, self._state.registry.shipments.keys(), self._wall_clock)
        return await self._sender.send_async(request, max_attempts=1)

    async def _check_overdue(self) -> None:
        """Between the pages of a long list: check those that are late by a whole interval."""
        now = self._clock()
        due = await self._state.find_due(now)
        due.shipments = [
            shipment
            for shipment in due.shipments
            if now - shipment.due_at > min(shipment.poke_interval, shipment.reconcile_seconds)
        ]
        if due.shipments and now >= self._state.health.paused_until:
            await self._numbers.check_most_urgent(due, now)
