"""Loads into SQLite with templates and an asset, twice; and a load that the database refuses."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Asset, TriggerRule

from airflow_provider_trackingmore.transfers.trackingmore_to_sql import TrackingMoreToSqlOperator

with DAG(
    "load_into_sql",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001
    params={"prefix": "nightly", "full": False},
) as dag:
    arguments = {
        "sql_conn_id": "{{ 'warehouse' }}",
        "trackings_table": "{{ params.prefix }}_trackings",
        "settle": "{{ 3 * 86400 }}",
        "max_open": timedelta(days=60),
        "full_refresh": "{{ params.full }}",
        "stream": "{{ dag.dag_id }}",
        "schema": "{{ none }}",
    }
    first = TrackingMoreToSqlOperator(task_id="first", outlets=[Asset("file://warehouse/trackings")], **arguments)
    second = TrackingMoreToSqlOperator(task_id="second", **arguments)
    refused = TrackingMoreToSqlOperator(
        task_id="refused",
        sql_conn_id="refusing",
        include_personal_data=True,
        include_raw=True,
        trigger_rule=TriggerRule.ALL_DONE,
    )
    first >> second >> refused
