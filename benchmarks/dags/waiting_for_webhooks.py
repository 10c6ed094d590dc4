"""Waits that would check again after half an hour, for ``benchmarks.webhooks``."""

from __future__ import annotations

import os

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

WAITS = int(os.environ.get("WEBHOOK_WAITS", "20"))


def parcel(number: int) -> dict[str, str]:
    """The parcel of one wait; it stays on its way until somebody delivers it."""
    return {"carrier_code": "usps", "tracking_number": f"SBX-STUCK-{number}"}


with DAG("waiting_for_webhooks", schedule=None, start_date=pendulum.datetime(2026, 1, 1)):
    for number in range(WAITS):
        ShipmentDeliveredSensor(
            task_id=f"wait_{number}", shipments=[parcel(number)], deferrable=True, poke_interval=1800, timeout=86_400
        )
