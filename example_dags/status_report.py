"""Report every night on the account's shipments, and on what changed since the night before.

Each night writes all shipments of the last 90 days to a file, one per line, for a warehouse to load; a repeated run
replaces the file. Changes are found by comparing two files, because a filter by ``update_time_min`` would miss
deliveries: TrackingMore does not date every change. Reading costs no quota.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import ObjectStoragePath, dag, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_trackingmore.operators.account import GetAccountOperator
from airflow_provider_trackingmore.operators.trackings import CountByStatusOperator, ListTrackingsOperator
from airflow_provider_trackingmore.retry_policies import TRACKINGMORE_RETRY_POLICY

FOLDER = os.environ.get("STATUS_REPORT_FOLDER", "/tmp")  # noqa: S108 - or an object store's address: s3://my-bucket/trackings
LOW_QUOTA = 500  # new shipments

log = logging.getLogger(__name__)


@dag(
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),  # from Airflow 3 on, "@daily" alone has no interval
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    # The policy is None before Airflow 3.3, whose operators do not know the argument: from here they do not get it.
    default_args={"retries": 3, "retry_policy": TRACKINGMORE_RETRY_POLICY},
    tags=["example", "trackingmore", "reporting"],
)
def status_report() -> None:
    """Count the shipments, write them down, say how many changed, warn when quota runs low."""
    # [START status_report]
    day = {"created_at_min": "{{ data_interval_start }}", "created_at_max": "{{ data_interval_end }}"}
    counts = CountByStatusOperator(task_id="count_all")
    registered = CountByStatusOperator(task_id="count_registered", filters=day)
    tonight = ListTrackingsOperator(
        task_id="write_all",
        filters={"created_at_min": "{{ data_interval_start - macros.timedelta(days=90) }}"},
        path=FOLDER + "/shipments-{{ data_interval_start | ds }}.ndjson",
    )
    last_night = FOLDER + "/shipments-{{ macros.ds_add(data_interval_start | ds, -1) }}.ndjson"
    account = GetAccountOperator(task_id="account")

    @task
    def count_changed(tonight: dict[str, Any], last_night: str) -> dict[str, int]:
        """Count the shipments whose status is another than the night before, by the status that they have now."""
        before = statuses(last_night)
        changed: dict[str, int] = {}
        for shipment, status in statuses(tonight["path"]).items():
            if before.get(shipment) != status:
                changed[status] = changed.get(status, 0) + 1
        return changed

    @task
    def report(
        counts: dict[str, int], registered: dict[str, int], changed: dict[str, int], account: dict[str, Any]
    ) -> None:
        log.info("All: %s", in_words(counts))
        log.info("Registered: %d. Changed: %s", sum(registered.values()), in_words(changed))
        if (left := account["quota_left"]) is not None and left < LOW_QUOTA:
            log.warning("Only %d more shipments can be registered: top up the account", left)

    report(counts.output, registered.output, count_changed(tonight.output, last_night), account.output)
    # [END status_report]


def statuses(path: str) -> dict[tuple[str, str], str]:
    """Read the status of each shipment from the file of a night; there is none before the first night."""
    file = ObjectStoragePath(path)
    if not file.exists():
        return {}
    with file.open("r", encoding="utf-8") as lines:
        entries = map(json.loads, lines)
        return {(entry["carrier_code"], entry["tracking_number"]): entry["status"] for entry in entries}


def in_words(counts: dict[str, int]) -> str:
    """Put counts into words: ``2 delivered, 1 transit``."""
    return ", ".join(f"{number} {status}" for status, number in counts.items() if number) or "none"


status_report()
