"""Everything that brings in the vendor's records of people, in all ways to wait; and one task that asks for them."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_trackingmore.operators.account import GetAccountOperator
from airflow_provider_trackingmore.operators.trackings import (
    CreateTrackingsOperator,
    GetTrackingsOperator,
    ListTrackingsOperator,
    RealtimeTrackOperator,
)
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

KNOWN = [{"carrier_code": "usps", "tracking_number": f"SBX-DELIVERED-1D-LEAK{n}"} for n in range(3)]
NEVER = [{"carrier_code": "usps", "tracking_number": "NOT-REGISTERED-1"}]
LOST = [{"carrier_code": "usps", "tracking_number": "SBX-EXCEPTION-1D-LEAK"}]
WAIT = {"poke_interval": 1.0, "timeout": 600, "retries": 0}


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1), default_args={"retries": 0})
def leaks() -> None:
    """Nothing of what these tasks read about people may be found afterwards."""

    @task(trigger_rule="all_done")
    def over(outcomes: Any) -> int:
        return len(outcomes)

    read = [
        CreateTrackingsOperator(task_id="register", shipments=KNOWN),
        GetTrackingsOperator(task_id="get", shipments=KNOWN),
        GetTrackingsOperator(task_id="missing", shipments=KNOWN + NEVER),
        ListTrackingsOperator(task_id="list"),
        RealtimeTrackOperator(task_id="realtime", shipments=KNOWN),
        GetAccountOperator(task_id="account"),
        GetAccountOperator(task_id="wrong_key", trackingmore_conn_id="wrong_key"),
    ]
    deferred = ShipmentDeliveredSensor(task_id="deferred", shipments=KNOWN, deferrable=True, **WAIT)
    ended = ShipmentDeliveredSensor(task_id="ended", shipments=KNOWN, deferrable=True, end_from_trigger=True, **WAIT)
    lost = ShipmentDeliveredSensor(task_id="lost", shipments=LOST, deferrable=True, **WAIT)
    poked = ShipmentDeliveredSensor(task_id="poked", shipments=KNOWN, **WAIT)
    [deferred, ended, lost] >> over(ended.output)
    read[0] >> poked


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1))
def leaks_on_request() -> None:
    """Here the user asks for the vendor's record."""
    GetTrackingsOperator(task_id="get_raw", shipments=KNOWN, include_raw=True)


leaks()
leaks_on_request()
