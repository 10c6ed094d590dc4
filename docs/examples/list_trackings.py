"""List delivered parcels: a short list into XCom, a list of any length into a file."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.trackings import ListTrackingsOperator

DELIVERED = {"status": "delivered", "created_at_min": "2026-01-01T00:00:00+00:00"}

with DAG("list_trackings", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    ListTrackingsOperator(task_id="few", filters=DELIVERED, max_rows=100)
    ListTrackingsOperator(task_id="all", filters=DELIVERED, path="delivered.ndjson")
