"""Track air cargo by its waybills.

Each waybill costs 20 units of quota on every run, so the DAG sets a quota floor and has no schedule.
"""

from __future__ import annotations

import logging
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_trackingmore.operators.air_cargo import TrackAirCargoOperator

log = logging.getLogger(__name__)


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    params={"waybills": ["172-40318825", "020-77120946"]},
    render_template_as_native_obj=True,  # the list stays a list
    tags=["example", "trackingmore", "air cargo"],
)
def air_cargo() -> None:
    """Track the waybills, and log their events."""
    # [START air_cargo]
    cargo = TrackAirCargoOperator(task_id="track", waybills="{{ params.waybills }}", quota_floor=500)

    @task
    def log_events(waybills: list[str], cargo: dict[str, dict[str, Any]]) -> None:
        for waybill in waybills:
            if (found := cargo.get(waybill)) is None:
                log.warning("%s: TrackingMore does not know it", waybill)
                continue
            log.info("%s: %s, %s to %s", waybill, found["airline"], found["origin"], found["destination"])
            for event in found["events"]:
                when = event["actual_date"] or f"planned {event['plan_date']}"
                log.info("%s: %s %s %s", waybill, event["event"], event["station"], when)

    log_events("{{ params.waybills }}", cargo.output)
    # [END air_cargo]


air_cargo()
