"""What the hook logs about a batch: its progress, and the report at its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, TypeVar

from airflow_provider_trackingmore.api.reports import BatchReport

if TYPE_CHECKING:
    from airflow_provider_trackingmore.api.batching import Progress

ReportT = TypeVar("ReportT", bound=BatchReport)

PROGRESS_SECONDS = 30.0
"""How often a long batch logs its progress."""


class AirflowLog(Protocol):
    """The log of a hook or a task. Its class depends on the version of Airflow."""

    def info(self, message: str, /, *arguments: object) -> None:
        """Write a line."""

    def warning(self, message: str, /, *arguments: object) -> None:
        """Write a line."""


def progress_logger(log: AirflowLog) -> Progress:
    """Return a function that logs the progress of a batch every half minute.

    :param log: the log of the hook.
    """
    last = time.monotonic()

    def log_progress(_: BatchReport, known: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            log.info("Processed %d of %d shipments", known, total)

    return log_progress


def log_report(log: AirflowLog, report: ReportT) -> ReportT:
    """Log the totals of a report, and each rejected shipment with the reason.

    :param log: the log of the hook.
    :param report: the report.
    :return: the report.
    """
    log.info("TrackingMore: %s", report.totals)
    for rejection in report.rejected:
        log.warning("Rejected: %s", rejection)
    return report
