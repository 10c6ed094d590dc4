"""The DAG under test: register a parcel, wait for it, close the order or open a claim."""

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_trackingmore.operators.trackings import CreateTrackingsOperator
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

PARCEL = {
    "carrier_code": "{{ params.carrier_code }}",
    "tracking_number": "{{ params.tracking_number }}",
}

with DAG(
    "close_order",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    params={"carrier_code": "", "tracking_number": ""},
) as dag:
    register = CreateTrackingsOperator(task_id="register", shipments=PARCEL)
    wait = ShipmentDeliveredSensor(
        task_id="wait",
        shipments=PARCEL,
        on_failed="report",
        poke_interval=1800,
        deferrable=True,
    )

    @task
    def settle(outcomes):
        """Decide what becomes of the order."""
        return "closed" if outcomes[0]["outcome"] == "delivered" else "claimed"

    register >> wait
    settle(wait.output)
