"""Realtime requests for many shipments: one request per shipment, one report for all."""

from __future__ import annotations

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.batching import Progress, rejections
from airflow_provider_trackingmore.api.envelope import RequestFlow
from airflow_provider_trackingmore.api.errors import (
    ApiError,
    AuthenticationError,
    QuotaExceededError,
    Retry,
    TrackingMoreError,
)
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.reports import BatchReport, RealtimeReport
from airflow_provider_trackingmore.api.shipments import CheckedShipments

_TWO_HOUR_RULE = "TrackingMore asks a carrier for the same shipment only once in 2 hours: take get_tracking until then"


_TWO_HOUR_CODES = frozenset({None, 403, 409, 429, 4012, 4020, 4031})
"""No source says how the rule answers: the explanation is added where it may. None: success without a record (202)."""


def request_realtime(checked: CheckedShipments, progress: Progress | None = None) -> RequestFlow[RealtimeReport]:
    """Have the carriers asked now, one shipment a call; a refused one costs none of the others.

    :param checked: the shipments.
    :param progress: called after each call.
    :return: the report; the two-hour rule is explained wherever it may be the reason.
    :raises TrackingMoreError: as :func:`send_batches`.
    """
    trackings: dict[ShipmentKey, Tracking] = {}
    report = RealtimeReport(rejected=checked.rejected, duplicates=checked.duplicates, trackings=trackings)
    waiting = list(checked.bodies.values())
    total = len(waiting) + len(checked.rejected)
    for number, body in enumerate(waiting):
        try:
            trackings[ShipmentKey.from_body(body)] = yield endpoints.realtime_tracking(body)
        except TrackingMoreError as error:
            explain_two_hour_rule(error)
            if isinstance(error, QuotaExceededError):
                # Without quota the others would be refused as well, a call each.
                return report + BatchReport(rejected=rejections(waiting[number:], error.code, error.message))
            part = BatchReport(rejected=rejections([body], error.code, error.message))
            if not isinstance(error, ApiError) or isinstance(error, AuthenticationError) or error.retry != Retry.NEVER:
                unsent = "not asked for, because an earlier call failed: run it again"
                rest = BatchReport(rejected=rejections(waiting[number + 1 :], error.code, unsent))
                error.report = report + part + rest
                raise
        else:
            part = BatchReport(done=(ShipmentKey.from_body(body),))
        report += part
        if progress is not None:
            progress(part, len(report), total)
    return report


def explain_two_hour_rule(error: TrackingMoreError) -> None:
    """Add the two-hour rule to an error of a realtime call, where it may be the reason.

    :param error: what the call raised; changed in place.
    """
    if isinstance(error, ApiError) and error.from_api and error.code in _TWO_HOUR_CODES:
        error.args = (f"{error.message}; {_TWO_HOUR_RULE}",)
