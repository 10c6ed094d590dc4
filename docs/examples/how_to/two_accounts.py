"""Track the parcels of two TrackingMore accounts in one DAG."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.trackings import CreateTrackingsOperator
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

PARCELS = {
    "trackingmore_eu": [{"carrier_code": "dhl", "tracking_number": "SBX-DELIVERED-1D-EU"}],
    "trackingmore_us": [{"carrier_code": "ups", "tracking_number": "SBX-DELIVERED-1D-US"}],
}

with DAG("two_accounts", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    for connection, parcels in PARCELS.items():
        account = {"trackingmore_conn_id": connection, "shipments": parcels}
        register = CreateTrackingsOperator(task_id=f"register_{connection}", **account)
        wait = ShipmentDeliveredSensor(
            task_id=f"wait_{connection}", poke_interval=1800, deferrable=True, **account
        )
        register >> wait
