"""Make TrackingMore query the carrier immediately."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.trackings import RealtimeTrackOperator

with DAG("realtime_track", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    RealtimeTrackOperator(
        task_id="ask_now",
        shipments={"carrier_code": "dhl", "tracking_number": "SBX-DELIVERED-1D-FIRST"},
    )
