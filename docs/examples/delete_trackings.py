"""Delete two parcels; one of them is not registered."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.trackings import DeleteTrackingsOperator

PARCELS = [
    {"carrier_code": "dhl", "tracking_number": "SBX-DELIVERED-1D-FIRST"},
    {"carrier_code": "usps", "tracking_number": "SBX-NEVER-1"},
]

with DAG(
    "delete_trackings", schedule=None, start_date=pendulum.datetime(2026, 1, 1)
) as dag:
    DeleteTrackingsOperator(task_id="remove", shipments=PARCELS)
