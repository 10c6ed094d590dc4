"""Wait for several orders in one task, and return the outcome of each."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

FIRST = {"carrier_code": "dhl", "tracking_number": "SBX-DELIVERED-1D-FIRST"}
SECOND = {"carrier_code": "ups", "tracking_number": "SBX-DELIVERED-2D-SECOND"}

with DAG("shipment_orders", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    wait = ShipmentDeliveredSensor(
        task_id="wait",
        orders={"2026-1001": [FIRST, SECOND], "2026-1002": SECOND},
        settle_seconds=4 * 3600,
        stuck_after=10 * 86400,
        on_failed="report",
        poke_interval=1800,
        timeout=14 * 86400,
        mode="reschedule",
    )
