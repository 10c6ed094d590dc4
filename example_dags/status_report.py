"""Load the account's shipments and events into a warehouse every night, and report on them.

Each night loads what is new or has changed since the last load that succeeded. A repeated run does no harm, and the
load after a skipped night catches up. Reading costs no quota.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import Asset, BaseHook, dag, task

from airflow_provider_trackingmore.operators.account import GetAccountOperator
from airflow_provider_trackingmore.operators.trackings import CountByStatusOperator
from airflow_provider_trackingmore.retry_policies import TRACKINGMORE_RETRY_POLICY
from airflow_provider_trackingmore.transfers.trackingmore_to_sql import TrackingMoreToSqlOperator

WAREHOUSE = os.environ.get("STATUS_REPORT_SQL_CONN_ID", "warehouse")  # the Airflow connection of your database
SHIPMENTS = Asset("trackingmore_shipments")  # schedule other DAGs on it: they run after each load
LOW_QUOTA = 500  # new shipments

CHANGED = """
    SELECT status, COUNT(*) FROM tracking_status_changes
    WHERE observed_at = (SELECT MAX(last_seen_at) FROM trackings) GROUP BY status ORDER BY status
"""
STUCK = "SELECT carrier_code, COUNT(*) FROM stuck_shipments GROUP BY carrier_code ORDER BY carrier_code"

log = logging.getLogger(__name__)


@dag(
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    # The policy is None before Airflow 3.3, whose operators do not know the argument: from here they do not get it.
    default_args={"retries": 3, "retry_policy": TRACKINGMORE_RETRY_POLICY},
    tags=["example", "trackingmore", "reporting"],
)
def status_report() -> None:
    """Load what has changed, log what changed and what is stuck, and warn when quota runs low."""
    # [START status_report]
    load = TrackingMoreToSqlOperator(task_id="load", sql_conn_id=WAREHOUSE, outlets=[SHIPMENTS])
    counts = CountByStatusOperator(task_id="count_all")
    account = GetAccountOperator(task_id="account")

    @task
    def report(loaded: dict[str, Any], counts: dict[str, int], account: dict[str, Any]) -> dict[str, dict[str, int]]:
        """Log how many shipments changed, by the status that they have now, and how many are stuck, by carrier."""
        warehouse = BaseHook.get_hook(WAREHOUSE)
        changed, stuck = dict(warehouse.get_records(CHANGED)), dict(warehouse.get_records(STUCK))
        log.info("All: %s", format_counts(counts))
        log.info("New: %d. Changed: %s", loaded["rows"]["trackings"]["new"], format_counts(changed))
        log.info("Stuck: %s", format_counts(stuck))
        if (left := account["quota_left"]) is not None and left < LOW_QUOTA:
            log.warning("Only %d more shipments can be registered: top up the account", left)
        return {"changed": changed, "stuck": stuck}

    report(load.output, counts.output, account.output)
    # [END status_report]


def format_counts(counts: dict[str, int]) -> str:
    """Format counts: ``2 delivered, 1 transit``."""
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "none"


status_report()
