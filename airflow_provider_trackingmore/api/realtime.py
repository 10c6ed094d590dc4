"""Query the carriers of many shipments in real time, with one request per shipment and one report on all of them."""

from __future__ import annotations

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.batching import NOT_SENT, Progress, rejections
from airflow_provider_trackingmore.api.envelope import RequestFlow
from airflow_provider_trackingmore.api.errors import (
    ApiError,
    AuthenticationError,
    QuotaExceededError,
    Retry,
    TrackingMoreError,
)
from airflow_provider_trackingmore.api.interruptions import BatchInterruptedError
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.api.reports import BatchReport, RealtimeReport
from airflow_provider_trackingmore.api.shipments import CheckedShipments


def query_carriers(checked: CheckedShipments, progress: Progress | None = None) -> RequestFlow[RealtimeReport]:
    """Query the carrier of each shipment now. If a request is refused, the others are still sent.

    :param checked: the shipments.
    :param progress: called after each request.
    :return: the report.
    :raises BatchInterruptedError: if the account or the connection fails; its ``report`` has the results so far, and
        all other shipments as ``rejected``.
    """
    trackings: dict[ShipmentKey, Tracking] = {}
    report = RealtimeReport(rejected=checked.rejected, duplicates=checked.duplicates, trackings=trackings)
    bodies = list(checked.bodies.values())
    total = len(bodies) + len(checked.rejected)
    for number, body in enumerate(bodies):
        try:
            trackings[ShipmentKey.from_body(body)] = yield endpoints.realtime_tracking(body)
        except TrackingMoreError as error:
            if isinstance(error, QuotaExceededError):
                # Without quota, the remaining requests would be refused as well.
                return report + BatchReport(rejected=rejections(bodies[number:], error.code, str(error)))
            part = BatchReport(rejected=rejections([body], error.code, str(error)))
            if not isinstance(error, ApiError) or isinstance(error, AuthenticationError) or error.retry != Retry.NEVER:
                rest = BatchReport(rejected=rejections(bodies[number + 1 :], error.code, NOT_SENT))
                raise BatchInterruptedError(error, report + part + rest) from error
        else:
            part = BatchReport(done=(ShipmentKey.from_body(body),))
        report += part
        if progress is not None:
            progress(part, len(report), total)
    return report
