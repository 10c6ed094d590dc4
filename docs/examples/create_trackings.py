"""Register two parcels; a third has a carrier that does not exist."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.trackings import CreateTrackingsOperator

PARCELS = [
    {
        "carrier_code": "dhl",
        "tracking_number": "SBX-DELIVERED-1D-FIRST",
        "order_id": "2026-1001",
    },
    {
        "carrier_code": "ups",
        "tracking_number": "SBX-DELIVERED-2D-SECOND",
        "order_id": "2026-1002",
    },
    {"carrier_code": "dhll", "tracking_number": "SBX-DELIVERED-3D-THIRD"},
]

with DAG(
    "create_trackings", schedule=None, start_date=pendulum.datetime(2026, 1, 1)
) as dag:
    CreateTrackingsOperator(
        task_id="register", shipments=PARCELS, on_rejected="report", quota_floor=100
    )
