"""Read the lists of an account for their subscribers. The rows also count as checks for all waits."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import cast

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.listing import list_trackings
from airflow_provider_trackingmore.api.lookups import filter_chunks
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.resources import Page
from airflow_provider_trackingmore.loading.window import LoadWindow, window_filters
from airflow_provider_trackingmore.waiting.calls import PollerCalls
from airflow_provider_trackingmore.waiting.failures import Scope, back_off, scope_of
from airflow_provider_trackingmore.waiting.hint_checks import SECONDS_PER_LIST
from airflow_provider_trackingmore.waiting.list_checks import ListChecks
from airflow_provider_trackingmore.waiting.list_subscriptions import ListSubscription, ListUpdate
from airflow_provider_trackingmore.waiting.observation import Observation
from airflow_provider_trackingmore.waiting.responses import ObservedRow
from airflow_provider_trackingmore.waiting.schedule import JOIN_EARLY

log = logging.getLogger(__name__)


class ListPublisher:
    """Reads lists for the subscriptions of one poller. Subscriptions with the same filters share their calls.

    :param calls: sends the calls.
    :param checks: checks overdue shipments between two pages, and publishes what the list of changes confirms.
    """

    def __init__(self, calls: PollerCalls, checks: ListChecks) -> None:
        self._calls = calls
        self._state = calls.state
        self._clock = calls.clock
        self._checks = checks

    @property
    def next_at(self) -> float:
        """When the next list must be read, in event loop time; infinity if there is no subscription."""
        return min((subscription.next_at for subscription in self._state.registry.list_subscriptions), default=math.inf)

    async def publish_due(self, now: float) -> None:
        """Read the lists for the subscriptions with the same filters that are due now or soon.

        :param now: event loop time in seconds; a subscription is due.
        """
        subscriptions = self._state.registry.list_subscriptions
        first = min(subscriptions, key=attrgetter("next_at"))
        early = now + JOIN_EARLY * first.poke_interval
        due = [
            candidate for candidate in subscriptions if candidate.query == first.query and candidate.next_at <= early
        ]
        is_full = any(
            subscription.full_check_due <= now + JOIN_EARLY * subscription.reconcile_seconds for subscription in due
        )
        for subscription in due:
            if subscription.hint_due <= early:
                subscription.hinted_at = now
            subscription.hint_due = math.inf
        try:
            window = common_window(subscription.window for subscription in due)
            # This comes before the lists, so that nothing in them is older than its result.
            by_number = await self._check_hinted(due)
            update = replace(await self._read(first.filters, window, is_full=is_full), by_number=by_number)
        except TrackingMoreError as error:
            self._calls.failures.list_failed(error)
            for subscription in due:
                subscription.failures += 1
                pause = back_off(subscription.failures, self._state.rng, at_least=error.retry_after)
                subscription.due_at = self._clock() + pause
                subscription.hint_due = math.inf  # the pause is not shortened by hints
            return
        for subscription in due:
            subscription.failures = 0
            if subscription.hinted:  # those that did not fit into the call, or that came while the lists were read
                subscription.hint_due = min(subscription.hint_due, now + SECONDS_PER_LIST)
            if is_full:
                subscription.full_check_due = now + subscription.reconcile_seconds
            subscription.due_at = min(now + subscription.poke_interval, subscription.full_check_due)
            subscription.add_update(update)

    async def _check_hinted(self, due: Iterable[ListSubscription]) -> dict[ShipmentKey, Observation]:
        """Check hinted shipments with one call. Those that do not fit are left for the next round."""
        hinted: dict[ShipmentKey, ShipmentKey] = {}
        for subscription in due:
            hinted |= subscription.hinted
        if not hinted:
            return {}
        numbers = filter_chunks(list(dict.fromkeys(key.tracking_number for key in hinted.values())))[0]
        for subscription in due:
            subscription.hinted = {
                key: sent for key, sent in subscription.hinted.items() if sent.tracking_number not in numbers
            }
        try:
            page = await self._calls.request_whole_page(endpoints.list_page({"numbers": numbers}, page=1))
        except TrackingMoreError as error:
            scope = scope_of(error, names_one=False)
            if scope in (Scope.ACCOUNT, Scope.RATE_LIMIT):
                raise
            if scope is Scope.CALL and self._state.health.is_service_down(error):
                raise
            log.debug("Cannot check shipments early that webhooks have named: %s", error)
            return {}
        await self._calls.recorder.record_page(page)
        return {row.key: row.observed for row in page.rows if row.key in hinted and row.observed is not None}

    async def _read(self, filters: Mapping[str, object], window: LoadWindow, *, is_full: bool) -> ListUpdate:
        listed: list[ObservedRow] = []
        changed: list[ObservedRow] = []
        if is_full:
            listed, _ = await self._list(window_filters(window, filters))
        if window.created_from is not None:  # otherwise the list of everything includes all changes
            changed = await self._list_changes(filters, window.changed_from or 0)
        return ListUpdate(listed, changed, is_full)

    async def _list_changes(self, filters: Mapping[str, object], since: int) -> list[ObservedRow]:
        """Read the list of changes. Without filters, it is read for the waits as well, if they have a cursor."""
        due = await self._state.find_due(self._clock())
        lists = self._state.lists
        lists.cursor.advance(due.oldest_check)
        checked_since = lists.cursor.since if self._state.registry.shipments and not filters else None
        if checked_since is not None:
            since = min(since, checked_since)
        rows, first_response_at = await self._list({**filters, "update_time_min": since})
        if checked_since is not None:
            count = sum(1 for row in rows if (row.updated or 0.0) >= checked_since)
            await self._checks.confirm_unchanged(due, count, first_response_at)
        return rows

    async def _list(self, filters: Mapping[str, object]) -> tuple[list[ObservedRow], float]:
        """Read a list to its end.

        :return: its rows, and when the first response arrived, in event loop time.
        """
        rows: list[ObservedRow] = []
        first_response_at = math.inf
        flow = list_trackings(filters)
        step = next(flow, None)
        try:
            while step is not None:
                if not isinstance(step, Request):
                    rows += cast("list[ObservedRow]", step)
                    step = next(flow, None)
                    continue
                if first_response_at < math.inf:
                    await self._checks.check_overdue()
                page = await self._calls.request_whole_page(step)
                first_response_at = min(first_response_at, self._clock())
                await self._calls.recorder.record_page(page)
                # list_trackings uses only the keys and registrations of the rows, which observed rows have.
                step = flow.send(cast(Page, page))
        except StopIteration:
            pass
        return rows, first_response_at


def common_window(windows: Iterable[LoadWindow]) -> LoadWindow:
    """Return the smallest window that contains others.

    :param windows: at least one.
    """
    every = list(windows)
    created = [window.created_from for window in every]
    changed = [window.changed_from or 0 for window in every]
    dated = [time for time in created if time is not None]
    return LoadWindow(min(dated) if len(dated) == len(every) else None, min(changed))
