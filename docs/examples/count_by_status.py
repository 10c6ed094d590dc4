"""Count the account's parcels by status."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.trackings import CountByStatusOperator

with DAG("count_by_status", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    CountByStatusOperator(
        task_id="count", filters={"created_at_min": "2026-01-01T00:00:00+00:00"}
    )
