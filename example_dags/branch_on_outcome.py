"""Branch on the outcome of a wait: delivered, lost, or timed out.

With ``on_failed="report"`` the sensor succeeds however the wait ends and returns the outcome, so that the DAG decides
what counts as a failure.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import AirflowFailException, dag, task

from airflow_provider_trackingmore.operators.trackings import CreateTrackingsOperator
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

POKE_INTERVAL = float(os.environ.get("BRANCH_POKE_INTERVAL", 30 * 60))  # seconds
TIMEOUT = float(os.environ.get("BRANCH_TIMEOUT", 14 * 24 * 60 * 60))  # seconds

log = logging.getLogger(__name__)


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    params={"carrier_code": "dhl", "tracking_number": "SBX-DELIVERED-2D-BRANCH"},
    default_args={"retries": 2},
    tags=["example", "trackingmore", "waiting", "branching"],
)
def branch_on_outcome() -> None:
    """Register one parcel, wait for it, and branch."""
    # [START branch_on_outcome]
    parcel = {"carrier_code": "{{ params.carrier_code }}", "tracking_number": "{{ params.tracking_number }}"}
    register = CreateTrackingsOperator(task_id="register", shipments=parcel)
    arrival = ShipmentDeliveredSensor(
        task_id="wait",
        shipments=parcel,
        on_failed="report",
        poke_interval=POKE_INTERVAL,
        timeout=TIMEOUT,
        deferrable=True,
    )

    @task.branch
    def choose_branch(outcomes: list[dict[str, Any]] | None) -> str:
        if outcomes is None:
            raise AirflowFailException(
                "The wait has no result, because it was marked as success: clear it to wait again"
            )
        [parcel] = outcomes
        branches = {"delivered": "arrived", "timed_out": "still_in_transit"}
        return branches.get(parcel["outcome"], "lost")  # exception, expired, not registered

    @task
    def arrived(outcomes: list[dict[str, Any]]) -> None:
        log.info("%s arrived at %s", outcomes[0]["tracking_number"], outcomes[0]["delivered_at"])

    @task
    def lost(outcomes: list[dict[str, Any]]) -> None:
        log.warning("%s: %s. Send another one", outcomes[0]["tracking_number"], outcomes[0]["outcome"])

    @task
    def still_in_transit(outcomes: list[dict[str, Any]]) -> None:
        log.warning("%s is still %s. Ask the carrier", outcomes[0]["tracking_number"], outcomes[0]["status"])

    outcomes = arrival.output
    register >> arrival
    choose_branch(outcomes) >> [arrived(outcomes), lost(outcomes), still_in_transit(outcomes)]
    # [END branch_on_outcome]


branch_on_outcome()
