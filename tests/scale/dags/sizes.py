"""One wait for as many shipments as the run's conf says, and a task that counts its results."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor


def numbers(shipments: int) -> list[dict[str, str]]:
    """Return this many shipments, each with a number of 23 characters."""
    return [
        {"carrier_code": "usps", "tracking_number": f"SBX-DELIVERED-2D-{shipments % 97:02}{number:03x}"}
        for number in range(4_096, 4_096 + shipments)
    ]


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1), params={"shipments": 1})
def sizes() -> None:
    """One wait for many shipments."""

    @task
    def shipments(params: dict[str, Any]) -> list[dict[str, str]]:
        return numbers(params["shipments"])

    @task
    def count(result: list[dict[str, Any]]) -> dict[str, int]:
        delivered = sum(entry["outcome"] == "delivered" for entry in result)
        return {"delivered": delivered, "others": len(result) - delivered}

    wait = ShipmentDeliveredSensor(
        task_id="wait",
        shipments=shipments(),  # type: ignore[arg-type]
        deferrable=True,
        poke_interval=5,
        timeout=7_200,
    )
    count(wait.output)  # type: ignore[arg-type]


sizes()
