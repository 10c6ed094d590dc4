"""Correct the carrier of one shipment, as customer support would when a buyer asks.

The new carrier must be one that TrackingMore supports. The shipment is moved to it, the carrier is queried now, and the
status is read once the parcel moves.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_trackingmore.operators.carriers import ListCarriersOperator
from airflow_provider_trackingmore.operators.trackings import (
    ChangeCarrierOperator,
    GetTrackingsOperator,
    RealtimeTrackOperator,
)
from airflow_provider_trackingmore.sensors.shipments import ShipmentStatusSensor

POKE_INTERVAL = float(os.environ.get("ONE_SHIPMENT_POKE_INTERVAL", 30 * 60))  # seconds

log = logging.getLogger(__name__)


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    params={"tracking_number": "SBX-DELIVERED-2D-ONE", "carrier_code": "dhl", "new_carrier_code": "ups"},
    tags=["example", "trackingmore", "support"],
)
def one_shipment() -> None:
    """Correct the carrier, query it, and log the status."""
    carriers = ListCarriersOperator(task_id="list_carriers")

    @task
    def check(carriers: list[dict[str, Any]], wanted: str) -> None:
        if wanted not in {carrier["code"] for carrier in carriers}:
            raise ValueError(f"TrackingMore does not support the carrier {wanted!r}")

    # [START one_shipment]
    correct = ChangeCarrierOperator(
        task_id="correct",
        tracking_number="{{ params.tracking_number }}",
        carrier_code="{{ params.carrier_code }}",
        new_carrier_code="{{ params.new_carrier_code }}",
    )
    query = RealtimeTrackOperator(task_id="query_carrier", shipments=correct.output)
    movement = ShipmentStatusSensor(
        task_id="wait_until_it_moves",
        shipments=correct.output,
        statuses=["transit", "pickup", "undelivered", "delivered"],
        poke_interval=POKE_INTERVAL,
        mode="reschedule",
    )
    read = GetTrackingsOperator(task_id="read", shipments=correct.output)

    @task
    def log_status(found: dict[str, list[dict[str, Any]]]) -> None:
        for entry in found["found"]:
            log.info("%s %s: %s", entry["carrier_code"], entry["tracking_number"], entry["status"])

    check(carriers.output, "{{ params.new_carrier_code }}") >> correct >> query >> movement >> read
    log_status(read.output)
    # [END one_shipment]


one_shipment()
