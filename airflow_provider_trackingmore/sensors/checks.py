"""Check the shipments of a wait on a worker."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import pendulum

from airflow_provider_trackingmore.api.errors import MalformedResponseError, ServerError, TrackingMoreError
from airflow_provider_trackingmore.api.formatting import format_list
from airflow_provider_trackingmore.api.interruptions import LookupInterruptedError
from airflow_provider_trackingmore.waiting.condition import Condition
from airflow_provider_trackingmore.waiting.failures import SERVICE_FAILURES, Scope, scope_of
from airflow_provider_trackingmore.waiting.observation import NOT_REGISTERED, Observation

if TYPE_CHECKING:
    from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
    from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook


def check_open_shipments(hook: TrackingMoreHook, condition: Condition) -> None:
    """Check the shipments of a wait that are still open, with ``GET /trackings/get?numbers=…``, 40 a call.

    A shipment that the responses omit is requested with ``GET /trackings/{carrier_code}/{tracking_number}``, since
    lists may leave out registered shipments. A shipment whose calls fail does not keep the others from being checked.

    :param hook: makes the calls.
    :param condition: the wait, which is updated.
    :raises TrackingMoreError: if a call fails. The results of the other calls still count.
    """
    from airflow_provider_trackingmore.api.lookups import find_trackings

    open_shipments = condition.open
    failure: TrackingMoreError | None = None
    failed: Collection[ShipmentKey] | None = ()
    found: dict[ShipmentKey, Tracking]
    try:
        found = hook.run(find_trackings(open_shipments.values()))
    except LookupInterruptedError as error:
        failure, found, failed = error.cause.replace(message=error.message), error.found, error.failed
    now = time.time()
    for normalized, key in open_shipments.items():
        if key in found:
            condition.update(normalized, Observation.from_record(found[key].raw, now), now)
    condition.decide()
    if failure is not None and failed is None:
        raise failure
    left_out = {
        normalized: key for normalized, key in open_shipments.items() if key not in found and key not in (failed or ())
    }
    failure = _confirm(hook, condition, left_out) or failure
    if failure is not None:
        raise failure


def describe_open_shipments(condition: Condition) -> str:
    """Name the shipments that a wait is still waiting for, with their statuses.

    :param condition: the wait.
    :return: one line, with at most twenty shipments; empty if the wait is over.
    """
    return format_list(
        [f"{outcome.key} {outcome.status or 'not checked yet'}" for outcome in condition.open_outcomes], separator="; "
    )


def format_time(seconds: float) -> str:
    """Format a time for the log.

    :param seconds: Unix seconds.
    :return: such as ``2026-03-01 12:00:00 UTC``.
    """
    return f"{pendulum.from_timestamp(seconds).to_datetime_string()} UTC"


def _confirm(
    hook: TrackingMoreHook, condition: Condition, left_out: Mapping[ShipmentKey, ShipmentKey]
) -> TrackingMoreError | None:
    """Check one by one the shipments that the responses left out.

    :param left_out: normalized key -> key.
    :return: the last failure that may affect only the shipment of the call.
    :raises TrackingMoreError: if a call fails because of the account or the connection, or several in a row fail.
    """
    failure: TrackingMoreError | None = None
    failures_in_a_row = 0
    for normalized, key in left_out.items():
        if not condition.is_open(normalized):
            continue
        try:
            observation = _observe_by_path(hook, key)
        except (ServerError, MalformedResponseError) as error:
            failure = error
            failures_in_a_row += 1
            if failures_in_a_row >= SERVICE_FAILURES:
                raise
            continue
        failures_in_a_row = 0
        condition.update(normalized, observation, time.time())
        condition.decide()
    return failure


def _observe_by_path(hook: TrackingMoreHook, key: ShipmentKey) -> Observation:
    try:
        return Observation.from_record(hook.get_tracking(*key).raw, time.time())
    except TrackingMoreError as error:
        if scope_of(error, names_one=True) is not Scope.UNKNOWN:
            raise
        return NOT_REGISTERED
