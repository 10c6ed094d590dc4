"""Load the account's shipments, their events and their changes of status into the shop's database every night."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import dag

from airflow_provider_trackingmore.transfers.trackingmore_to_sql import TrackingMoreToSqlOperator


@dag(
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2},
)
def nightly_load() -> None:
    """Load what has changed since the night before."""
    TrackingMoreToSqlOperator(
        task_id="load",
        sql_conn_id="orders_db",
        # The sandbox's clock is behind this machine's: by default its deliveries would all be old and settled.
        settle=timedelta(days=60),
    )


nightly_load()
