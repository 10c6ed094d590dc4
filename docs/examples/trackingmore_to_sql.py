"""Load shipments and events into a database: first everything, then what has changed."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.transfers.trackingmore_to_sql import (
    TrackingMoreToSqlOperator,
)

with DAG(
    "trackingmore_to_sql", schedule=None, start_date=pendulum.datetime(2026, 1, 1)
) as dag:
    first = TrackingMoreToSqlOperator(task_id="first", sql_conn_id="warehouse")
    second = TrackingMoreToSqlOperator(task_id="second", sql_conn_id="warehouse")
    first >> second
