"""One wait for each of many orders, and one task that closes all of them."""

from __future__ import annotations

import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

WAITS = int(os.environ.get("SCALE_WAITS", "300"))
POKE_SECONDS = 10.0
ORDERS = [
    [
        {"carrier_code": "usps", "tracking_number": f"SBX-DELIVERED-2D-{order:05}{part}"}
        for part in ("AB" if order % 4 == 0 else "A")
    ]
    for order in range(WAITS)
]
"""The parcels of each order: one in four has two."""


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1), default_args={"retries": 1})
def many_waits() -> None:
    """All orders wait at once."""

    @task
    def orders() -> list[list[dict[str, str]]]:
        return ORDERS

    @task
    def close(results: Any) -> list[list[str]]:
        """Return the outcomes of each order."""
        return [
            [f"{shipment['tracking_number']} {shipment['outcome']}" for shipment in result] for result in results[:]
        ]

    waits = ShipmentDeliveredSensor.partial(
        task_id="wait", deferrable=True, poke_interval=POKE_SECONDS, timeout=7_200, end_from_trigger=True
    ).expand(shipments=orders())
    close(waits.output)


many_waits()
