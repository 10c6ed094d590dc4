"""Report each night how the account's shipments stand. Knows what to count; sends the report nowhere but to the log.

What changed in a day is one file of that day, an entry a line: a run that is repeated writes it anew, and a warehouse
loads it from there. Reading costs no quota.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task
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
    tags=["example"],
)
def status_report() -> None:
    """Count the shipments, write down those that changed, warn when quota runs low."""
    # [START status_report]
    day = {"created_at_min": "{{ data_interval_start }}", "created_at_max": "{{ data_interval_end }}"}
    counts = CountByStatusOperator(task_id="count_all")
    registered = CountByStatusOperator(task_id="count_registered", filters=day)
    changed = ListTrackingsOperator(
        task_id="write_changed",
        filters={"update_time_min": "{{ data_interval_start }}", "update_time_max": "{{ data_interval_end }}"},
        path=FOLDER + "/changed-{{ data_interval_start | ds }}.ndjson",
    )
    account = GetAccountOperator(task_id="account")

    @task
    def report(
        counts: dict[str, int], registered: dict[str, int], changed: dict[str, Any], account: dict[str, Any]
    ) -> None:
        log.info("All: %s", ", ".join(f"{number} {status}" for status, number in counts.items() if number) or "none")
        log.info("Registered: %d. Changed: %d, see %s", sum(registered.values()), changed["rows"], changed["path"])
        if (left := account["quota_left"]) is not None and left < LOW_QUOTA:
            log.warning("Only %d more shipments can be registered: top up the account", left)

    report(counts.output, registered.output, changed.output, account.output)
    # [END status_report]


status_report()
