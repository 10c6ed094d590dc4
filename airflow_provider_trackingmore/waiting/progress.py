"""Read the progress of deferred waits from their poller: when the next check is due, and the shipments by status."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from airflow_provider_trackingmore.waiting.cooperative import cooperatively
from airflow_provider_trackingmore.waiting.registry import Subscription, WatchedShipment
from airflow_provider_trackingmore.waiting.retries import FailedGroup
from airflow_provider_trackingmore.waiting.schedule import next_check
from airflow_provider_trackingmore.waiting.state import PollerState

SHIPMENTS_PER_SLICE = 500


@dataclass(frozen=True, slots=True)
class WaitProgress:
    """The progress of one wait.

    :param next_check_at: when its next check is due, in Unix seconds; None if none is planned.
    :param statuses: the number of shipments by status, without those that were never checked.
    """

    next_check_at: float | None
    statuses: Mapping[str, int]


async def read_progress(
    state: PollerState, clock: Callable[[], float], wall_clock: Callable[[], float]
) -> dict[int, WaitProgress]:
    """Read the progress of all waits that have a trigger.

    :param state: the state of the poller.
    :param clock: event loop time in seconds.
    :param wall_clock: Unix seconds.
    :return: trigger id -> progress.
    """
    found: dict[int, WaitProgress] = {}
    async for subscription in cooperatively(list(state.registry.subscriptions)):
        if subscription.trigger_id is None or subscription.count_statuses is None:
            continue
        at = await _next_check(state, subscription, clock())
        offset = wall_clock() - clock()
        found[subscription.trigger_id] = WaitProgress(
            at + offset if math.isfinite(at) else None, subscription.count_statuses()
        )
    return found


async def _next_check(state: PollerState, subscription: Subscription, now: float) -> float:
    """Return when the first of its shipments is due, in event loop time; infinity if none is."""
    earliest = math.inf
    async for key in cooperatively(list(subscription.shipments), SHIPMENTS_PER_SLICE):
        shipment = state.registry.shipments.get(key)
        if shipment is not None:
            earliest = min(earliest, _due_at(state, shipment, now))
    return max(earliest, state.health.paused_until)


def _due_at(state: PollerState, shipment: WatchedShipment, now: float) -> float:
    if isinstance(shipment.hold, FailedGroup):
        return shipment.hold.retry_at
    if shipment.hold is not None:  # it is about to be confirmed
        return now
    if shipment in state.gathering.shipments:
        return state.gathering.due
    return next_check(shipment, state.lists.changes_checked_at)
