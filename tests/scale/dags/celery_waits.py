"""Many orders wait. Workers end half of the waits, triggerers the other half, and one task closes all orders."""

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
        for part in ("AB" if order % 4 < 2 else "A")
    ]
    for order in range(WAITS)
]
"""The shipments of each order: every second order of each half has two."""
HALVES = {"by_worker": ORDERS[::2], "by_triggerer": ORDERS[1::2]}
"""The orders of each sensor task."""


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    default_args={"retries": 3, "retry_delay": pendulum.duration(seconds=3)},
)
def celery_waits() -> None:
    """All orders wait at once."""

    @task
    def orders(half: str) -> list[list[dict[str, str]]]:
        return HALVES[half]

    @task
    def close(by_worker: Any, by_triggerer: Any) -> dict[str, list[list[str]]]:
        """Return the outcomes of each order."""
        return {
            name: [[f"{entry['tracking_number']} {entry['outcome']}" for entry in result] for result in results[:]]
            for name, results in (("by_worker", by_worker), ("by_triggerer", by_triggerer))
        }

    results = [
        ShipmentDeliveredSensor.partial(
            task_id=half,
            deferrable=True,
            poke_interval=POKE_SECONDS,
            timeout=7_200,
            end_from_trigger=half == "by_triggerer",
        )
        .expand(shipments=orders.override(task_id=f"orders_{half}")(half))
        .output
        for half in HALVES
    ]
    close(*results)


celery_waits()
