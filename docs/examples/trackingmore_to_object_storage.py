"""Load shipments and events into files, one set per load."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.transfers.trackingmore_to_object_storage import (
    TrackingMoreToObjectStorageOperator,
)

with DAG(
    "trackingmore_to_object_storage",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
) as dag:
    TrackingMoreToObjectStorageOperator(task_id="load", path="lake")
