"""One check on a worker: the calls, and what they mean for the wait."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.interruptions import LookupInterruptedError
from airflow_provider_trackingmore.waiting.condition import Condition
from airflow_provider_trackingmore.waiting.failures import Scope, scope_of
from airflow_provider_trackingmore.waiting.observation import NOT_REGISTERED, Observation
from airflow_provider_trackingmore.waiting.outcome import first_listed

if TYPE_CHECKING:
    from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
    from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook


def check_open_shipments(hook: TrackingMoreHook, condition: Condition) -> None:
    """Check the shipments of a wait that are still open, with ``GET /trackings/get?numbers=…``, 40 a call.

    A shipment that the answers leave out is asked for with ``GET /trackings/{carrier_code}/{tracking_number}``, since
    lists may leave out registered shipments.

    :param hook: makes the calls.
    :param condition: the wait; takes in what was found.
    :raises TrackingMoreError: if a call fails. What was found before counts all the same.
    """
    keys = condition.open
    failure: TrackingMoreError | None = None
    found: dict[ShipmentKey, Tracking]
    try:
        found = hook.find_trackings(keys)
    except LookupInterruptedError as error:
        failure, found = error.cause.replace(message=error.message), error.found
    now = time.time()
    for key in keys:
        if key in found:
            condition.update(key.normalized, Observation.from_record(found[key].raw, now), now)
    condition.decide()
    if failure is not None:
        raise failure
    for key in keys:
        if key not in found and condition.is_open(key.normalized):
            condition.update(key.normalized, _observe_by_path(hook, key), time.time())
            condition.decide()


def describe_open_shipments(condition: Condition) -> str:
    """Name the shipments that a wait is still waiting for, with their statuses.

    :param condition: the wait.
    :return: one line, with at most twenty shipments; empty if the wait is over.
    """
    return first_listed(
        [
            f"{outcome.key} {outcome.status or 'not checked yet'}"
            for outcome in condition.verdict().outcomes
            if condition.is_open(outcome.key.normalized)
        ]
    )


def format_time(seconds: float) -> str:
    """Format a time for the log.

    :param seconds: unix seconds.
    :return: such as ``2026-03-01 12:00:00 UTC``.
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _observe_by_path(hook: TrackingMoreHook, key: ShipmentKey) -> Observation:
    try:
        return Observation.from_record(hook.get_tracking(*key).raw, time.time())
    except TrackingMoreError as error:
        if scope_of(error, names_one=True) is not Scope.UNKNOWN:
            raise
        return NOT_REGISTERED
