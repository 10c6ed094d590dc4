"""Read two parcels, one of which is not registered; the other one also in English."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.trackings import GetTrackingsOperator

PARCELS = [
    {"carrier_code": "dhl", "tracking_number": "SBX-DELIVERED-1D-FIRST"},
    {"carrier_code": "usps", "tracking_number": "SBX-NEVER-1"},
]

with DAG("get_trackings", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    GetTrackingsOperator(task_id="read", shipments=PARCELS, on_missing="report")
    GetTrackingsOperator(
        task_id="in_english", shipments=PARCELS[0], lang="en", include_raw=True
    )
