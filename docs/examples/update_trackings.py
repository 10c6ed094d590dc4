"""Set the title of parcels, and archive them."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.trackings import UpdateTrackingsOperator

PARCELS = [
    {"carrier_code": "dhl", "tracking_number": "SBX-DELIVERED-1D-FIRST"},
    {"carrier_code": "ups", "tracking_number": "SBX-DELIVERED-2D-SECOND"},
]

with DAG(
    "update_trackings", schedule=None, start_date=pendulum.datetime(2026, 1, 1)
) as dag:
    UpdateTrackingsOperator(
        task_id="archive",
        shipments=PARCELS,
        changes={"title": "Spring sale", "archived": True},
    )
