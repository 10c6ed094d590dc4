"""Check shipments by number: 40 per call, or a single one by its path."""

from __future__ import annotations

import math
from collections.abc import Iterable
from heapq import nsmallest
from operator import itemgetter

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS
from airflow_provider_trackingmore.api.lookups import filter_chunks
from airflow_provider_trackingmore.waiting.calls import PollerCalls
from airflow_provider_trackingmore.waiting.failures import Scope, scope_of
from airflow_provider_trackingmore.waiting.registry import WatchedShipment
from airflow_provider_trackingmore.waiting.retries import FailedGroup
from airflow_provider_trackingmore.waiting.schedule import Due, most_urgent, next_check


class NumberChecks:
    """Checks shipments of one poller by number.

    :param calls: sends the calls.
    """

    def __init__(self, calls: PollerCalls) -> None:
        self._calls = calls
        self._state = calls.state
        self._recorder = calls.recorder
        self._failures = calls.failures

    async def check_most_urgent(self, due: Due, now: float) -> None:
        """Check the most urgent shipments with one call.

        :param due: the due shipments.
        :param now: event loop time in seconds.
        """
        urgent = most_urgent(due.shipments, FILTER_NUMBERS, now)
        if must_be_named_by_path(urgent[0]):
            await self._check_by_path(urgent[0])
        else:
            chosen = self._fill_up([shipment for shipment in urgent if not must_be_named_by_path(shipment)], now)
            await self.check_group(FailedGroup(chosen, now))

    def _fill_up(self, urgent: list[WatchedShipment], now: float) -> list[WatchedShipment]:
        """Fill up a call with the shipments that are due next, and leave out those that do not fit."""
        chosen = urgent + self._next_due(urgent, now)
        numbers = dict.fromkeys(shipment.key.tracking_number for shipment in chosen)
        fitting = set(filter_chunks(list(numbers))[0])
        return [shipment for shipment in chosen if shipment.key.tracking_number in fitting]

    def _next_due(self, urgent: Iterable[WatchedShipment], now: float) -> list[WatchedShipment]:
        chosen = set(urgent)
        room = FILTER_NUMBERS - len(chosen)
        if not room:
            return []
        gathering = self._state.gathering.shipments
        changes_checked_at = self._state.lists.changes_checked_at
        others = (
            (now if shipment in gathering else next_check(shipment, changes_checked_at), shipment)
            for shipment in self._state.registry.shipments.values()
            if shipment not in chosen and not must_be_named_by_path(shipment)
        )
        return [shipment for at, shipment in nsmallest(room, others, key=itemgetter(0)) if at < math.inf]

    async def check_group(self, group: FailedGroup) -> None:
        """Check shipments by number with one call. Those that the response omits must be confirmed.

        :param group: the shipments; the group may have failed before.
        """
        shipments = [shipment for shipment in group.shipments if shipment.subscribers]
        if not shipments:
            return
        if len(shipments) == 1 and must_be_named_by_path(shipments[0]):
            await self._check_by_path(shipments[0])
            return
        numbers = list(dict.fromkeys(shipment.key.tracking_number for shipment in shipments))
        try:
            page = await self._calls.request_page({"numbers": numbers}, 1)
        except TrackingMoreError as error:
            self._failures.group_failed(FailedGroup(shipments, self._calls.clock(), group.failures), error)
            return
        await self._recorder.record_page(page, spread=True)
        seen = page.keys
        for shipment in shipments:
            if shipment.normalized not in seen and shipment.subscribers:
                self._state.retries.add_unconfirmed(shipment)

    async def retry(self, now: float) -> None:
        """Make the next call from the retry queue, if one is due.

        :param now: event loop time in seconds.
        """
        group = self._state.retries.take_due_group(now)
        if group is not None:
            group.shipments = group.open
            await self.check_group(group)
            return
        shipment = self._state.retries.next_unconfirmed()
        if shipment is not None:
            await self._check_by_path(shipment)

    async def _check_by_path(self, shipment: WatchedShipment) -> None:
        """Check a shipment with ``GET /trackings/{carrier_code}/{tracking_number}``, which omits no shipment."""
        requested_by = set(shipment.subscribers)
        try:
            page = await self._calls.request_shipment(shipment.key)
        except TrackingMoreError as error:
            if scope_of(error, names_one=True) is Scope.UNKNOWN:
                self._failures.call_succeeded()
                self._state.retries.discard_unconfirmed(shipment)
                self._recorder.record_unknown(shipment, requested_by)
            else:
                failures = shipment.hold.failures + 1 if isinstance(shipment.hold, FailedGroup) else 1
                group = FailedGroup([shipment], self._calls.clock(), failures)
                self._failures.group_failed(group, error, by_path=True)
            return
        await self._recorder.record_page(page)
        if self._state.retries.discard_unconfirmed(shipment):
            shipment.unlisted = True


def must_be_named_by_path(shipment: WatchedShipment) -> bool:
    """Tell whether the ``numbers`` filter cannot find a shipment: it splits at commas, and lists omit some shipments.

    :param shipment: the shipment.
    """
    return shipment.unlisted or "," in shipment.key.tracking_number
