"""Each end of a wait, in each mode. The test registers the parcels, and the clock stands still."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor, ShipmentStatusSensor
from tests.integration.airflow.parcels import parcel

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}


def some(*names: str) -> list[dict[str, str]]:
    return [parcel(name) for name in names]


CASES: dict[str, dict[str, Any]] = {
    "nothing": {"shipments": []},
    "delivered": {"shipments": some("delivered#2", "delivered")},
    "one_of_three": {"shipments": some("transit", "delivered", "exception"), "wait_for": "any"},
    "two_of_four": {"shipments": some("transit", "delivered", "exception", "delivered#2"), "wait_for": 2},
    "not_registered": {"shipments": some("transit", "missing")},
    "lost": {"shipments": some("delivered", "exception")},
    "lost_or_skipped": {"shipments": some("delivered", "exception"), "soft_fail": True},
    "lost_and_returned": {"shipments": some("delivered", "exception"), "on_failed": "report"},
    "late": {"shipments": some("delivered", "transit"), "timeout": 1.5, "retries": 2},
    "late_or_skipped": {"shipments": some("transit"), "timeout": 1.5, "soft_fail": True},
    "late_and_returned": {"shipments": some("delivered", "transit"), "timeout": 1.5, "on_failed": "report"},
    "late_and_returned_not_skipped": {
        "shipments": some("transit"),
        "timeout": 1.5,
        "on_failed": "report",
        "soft_fail": True,
    },
    "wrong_key": {
        "shipments": some("transit"),
        "trackingmore_conn_id": "trackingmore_wrong_key",
        "soft_fail": True,
    },
    "wrong_argument": {"shipments": some("transit"), "wait_for": "most", "soft_fail": True},
}

with DAG("every_mode", start_date=pendulum.datetime(2026, 1, 1), schedule=None) as dag:
    for mode, how in MODES.items():
        for case, what in CASES.items():
            arguments = {"poke_interval": 0.1, "timeout": 60, "retries": 0} | what | how
            ShipmentDeliveredSensor(task_id=f"{mode}__{case}", **arguments)
        ShipmentStatusSensor(
            task_id=f"{mode}__other_statuses",
            shipments=some("transit", "pending"),
            statuses=["transit", "pending"],
            poke_interval=0.1,
            **how,
        )
