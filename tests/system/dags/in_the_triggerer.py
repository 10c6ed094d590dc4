"""Waits that begin or end in the triggerer, and what the next task makes of their results."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

SOON = [{"carrier_code": "usps", "tracking_number": f"SBX-DELIVERED-1D-{number}"} for number in range(3)]
LOST = [{"carrier_code": "usps", "tracking_number": "SBX-EXCEPTION-1D-1"}]
LATE = [{"carrier_code": "usps", "tracking_number": "SBX-STUCK-1"}]
ENDS = {"deferrable": True, "poke_interval": 1.0, "timeout": 600, "end_from_trigger": True, "retries": 0}
BEGINS = ENDS | {"start_from_trigger": True}


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1))
def in_the_triggerer() -> None:
    """Each way that such a wait can end."""

    @task
    def shipments() -> list[dict[str, str]]:
        return SOON

    @task(trigger_rule="all_done")
    def describe(result: Any) -> list[str]:
        """What the next task gets: a list, as from a worker."""
        return [type(result).__name__, *(f"{entry['tracking_number']}: {entry['outcome']}" for entry in result)]

    @task
    def each(one: dict[str, Any]) -> str:
        return str(one["tracking_number"])

    ends = ShipmentDeliveredSensor(task_id="ends", shipments=shipments(), **ENDS)
    describe.override(task_id="result_of_ends")(ends.output)
    begins = ShipmentDeliveredSensor(task_id="begins", shipments=SOON, **BEGINS)
    describe.override(task_id="result_of_begins")(begins.output)
    each.expand(one=begins.output)
    mapped = ShipmentDeliveredSensor.partial(task_id="mapped", **ENDS).expand(shipments=[[parcel] for parcel in SOON])
    describe.override(task_id="result_of_mapped").expand(result=mapped.output)
    returned = ShipmentDeliveredSensor(task_id="returned", shipments=LOST, on_failed="report", **BEGINS)
    describe.override(task_id="result_of_returned")(returned.output)
    ShipmentDeliveredSensor(task_id="lost", shipments=LOST, **BEGINS)
    ShipmentDeliveredSensor(task_id="skipped", shipments=LOST, soft_fail=True, **BEGINS)
    ShipmentDeliveredSensor(task_id="late", shipments=LATE, **BEGINS | {"timeout": 4})
    ShipmentDeliveredSensor(task_id="without_result", shipments=SOON, do_xcom_push=False, **BEGINS)


in_the_triggerer()
