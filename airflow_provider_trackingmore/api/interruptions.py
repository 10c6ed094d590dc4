"""Errors of jobs that send several requests: what failed, and the result so far."""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.reports import BatchReport

FoundT = TypeVar("FoundT")


class InterruptedJobError(TrackingMoreError):
    """One request of a job failed, and the job ended. Code, hint and retry advice are those of the cause.

    :param cause: how the request failed.
    :param message: what happened; None for the cause's message.
    """

    def __init__(self, cause: TrackingMoreError, message: str | None = None) -> None:
        super().__init__(
            cause.message if message is None else message,
            hint=cause.hint,
            hint_text=cause.hint_text,
            code=cause.code,
            http_status=cause.http_status,
            retry_after=cause.retry_after,
            from_api=cause.from_api,
        )
        self.cause = cause
        self.retry = cause.retry


class BatchInterruptedError(InterruptedJobError):
    """A batch job ended early because a request failed.

    :param cause: how the request failed.
    :param report: the result for every shipment; those not sent, or with an unknown result, are ``rejected``.
    """

    def __init__(self, cause: TrackingMoreError, report: BatchReport) -> None:
        super().__init__(cause)
        self.report = report


class LookupInterruptedError(InterruptedJobError, Generic[FoundT]):
    """A lookup ended early because a request failed, or some of its items could not be looked up.

    :param cause: how the request failed.
    :param found: what was found, in the form of the lookup's result.
    :param message: what happened; None for the cause's message.
    :param failed: the shipments whose requests failed, if all others were looked up; None if the lookup ended early.
    """

    def __init__(
        self,
        cause: TrackingMoreError,
        found: FoundT,
        message: str | None = None,
        *,
        failed: Collection[ShipmentKey] | None = None,
    ) -> None:
        super().__init__(cause, message)
        self.found = found
        self.failed = failed


def cause_of(error: TrackingMoreError) -> TrackingMoreError:
    """Return the error of the request that failed.

    :param error: the error of a job or of a request.
    :return: the cause of an interrupted job; any other error itself.
    """
    return error.cause if isinstance(error, InterruptedJobError) else error
