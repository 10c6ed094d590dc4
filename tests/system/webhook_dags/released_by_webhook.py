"""Waits that would check again after half an hour, each with a task after it."""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

WAITS = 6
SHIPMENTS = [{"carrier_code": "usps", "tracking_number": f"SBX-STUCK-{number}"} for number in range(WAITS)]
LEFT_WAITING = {"carrier_code": "usps", "tracking_number": "SBX-STUCK-LEFT"}

with DAG(
    "released_by_webhook",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    # On a busy machine Airflow's own calls time out when many tasks start at once.
    default_args={"retries": 3, "retry_delay": pendulum.duration(seconds=2)},
):

    def wait(name: str, shipment: dict[str, str]) -> ShipmentDeliveredSensor:
        return ShipmentDeliveredSensor(
            task_id=f"wait_{name}", shipments=[shipment], deferrable=True, poke_interval=1800, timeout=86_400
        )

    @task
    def close(outcomes: list[dict[str, str]]) -> str:
        (outcome,) = outcomes
        return outcome["outcome"]

    for number, shipment in enumerate(SHIPMENTS):
        close.override(task_id=f"close_{number}")(wait(str(number), shipment).output)
    wait("left", LEFT_WAITING)
