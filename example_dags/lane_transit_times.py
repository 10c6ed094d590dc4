"""Compare the transit times of carriers on a shop's lanes, and find remote areas.

Transit times cost no quota. Remote areas do: five calls of up to 40 places each cost one unit.
"""

from __future__ import annotations

import logging
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_trackingmore.operators.carriers import RemoteAreasOperator, TransitTimesOperator

LANES = [
    {"carrier_code": "dhl", "original": "DE", "destination": "US"},
    {"carrier_code": "ups", "original": "DE", "destination": "US"},
    {"carrier_code": "dpd", "original": "DE", "destination": "PL"},
]
PLACES = [{"country": "NO", "postcode": "9170", "company": "dhl"}, {"country": "US", "postcode": "10001"}]

log = logging.getLogger(__name__)


@dag(
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    params={"lanes": LANES, "places": PLACES},
    render_template_as_native_obj=True,  # the lists stay lists
    tags=["example", "trackingmore", "carriers", "reporting"],
)
def lane_transit_times() -> None:
    """Log how many parcels of each lane arrive within a week, and which places are remote."""
    # [START transit_times]
    times = TransitTimesOperator(task_id="transit_times", lanes="{{ params.lanes }}", retries=2)

    @task
    def shares_within_a_week(times: list[dict[str, Any]]) -> dict[str, float]:
        """Log the shares of the parcels that arrive, as TrackingMore counts them."""
        weekly = {}
        for lane in times:
            if (share := lane["days_0_7"]) is not None:
                name = f"{lane['carrier_code']} {lane['original']}-{lane['destination']}"
                weekly[name] = share
                log.info("%s: %.0f%% of those that arrive do so within a week", name, 100 * share)
        return weekly

    shares_within_a_week(times.output)
    # [END transit_times]

    # [START remote_areas]
    remote = RemoteAreasOperator(task_id="remote_areas", places="{{ params.places }}", quota_floor=100)

    @task
    def log_remote_areas(areas: list[dict[str, Any]]) -> None:
        for area in areas:
            if area["listed_as"] == "remote":
                log.info("%s charges extra for %s %s", area["company"], area["country_code"], area["postcode"])

    log_remote_areas(remote.output)
    # [END remote_areas]


lane_transit_times()
