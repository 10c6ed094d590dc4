"""Stop updates of a parcel."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.trackings import StopUpdatesOperator

with DAG("stop_updates", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    StopUpdatesOperator(
        task_id="stop",
        shipments={"carrier_code": "dhl", "tracking_number": "SBX-DELIVERED-1D-FIRST"},
    )
