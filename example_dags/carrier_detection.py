"""Register parcels whose carrier is unknown.

A number with several possible carriers, or with none, is left for a person to decide. Five detections cost one unit of
quota and each registration costs one; neither starts if too little quota would remain.
"""

from __future__ import annotations

import logging
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_trackingmore.operators.carriers import DetectCarrierOperator
from airflow_provider_trackingmore.operators.trackings import CreateTrackingsOperator

QUOTA_FLOOR = 100  # units that must be left for the registrations of others

log = logging.getLogger(__name__)


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    params={"tracking_numbers": ["LX472918365CN", "1Z84A2160339175268"]},
    render_template_as_native_obj=True,  # the list stays a list
    tags=["example", "trackingmore", "carriers"],
)
def carrier_detection() -> None:
    """Detect the carriers of numbers, register those with one candidate, and log the others."""
    # [START carrier_detection]
    detect = DetectCarrierOperator(
        task_id="detect",
        tracking_numbers="{{ params.tracking_numbers }}",
        pick="only",
        on_undetected="report",
        quota_floor=QUOTA_FLOOR,
        multiple_outputs=True,  # each of the two lists is an XCom of its own
    )
    CreateTrackingsOperator(task_id="register", shipments=detect.output["detected"], quota_floor=QUOTA_FLOOR, retries=2)

    @task
    def log_undetected(undetected: list[dict[str, Any]]) -> None:
        for entry in undetected:
            candidates = ", ".join(carrier["name"] for carrier in entry["candidates"])
            log.warning("%s: %s", entry["tracking_number"], f"one of {candidates}" if candidates else "no carrier")

    log_undetected(detect.output["undetected"])
    # [END carrier_detection]


carrier_detection()
