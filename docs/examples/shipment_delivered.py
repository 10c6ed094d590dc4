"""Wait until two parcels are delivered."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

PARCELS = [
    {"carrier_code": "dhl", "tracking_number": "SBX-DELIVERED-1D-FIRST"},
    {"carrier_code": "ups", "tracking_number": "SBX-DELIVERED-2D-SECOND"},
]

with DAG(
    "shipment_delivered", schedule=None, start_date=pendulum.datetime(2026, 1, 1)
) as dag:
    ShipmentDeliveredSensor(
        task_id="wait",
        shipments=PARCELS,
        deferrable=True,
        poke_interval=1800,
        timeout=14 * 86400,
    )
