"""Clean up old shipments.

Shipments that were delivered long ago are archived. Shipments that no carrier ever found are no longer updated, and are
archived. Archived shipments that are very old are deleted, which does not refund quota. Each step lists only shipments
that it has not handled yet, so a repeated run changes nothing.
"""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag

from airflow_provider_trackingmore.operators.trackings import (
    DeleteTrackingsOperator,
    ListTrackingsOperator,
    StopUpdatesOperator,
    UpdateTrackingsOperator,
)


# [START older_than]
def older_than(days: int, **filters: Any) -> dict[str, Any]:
    """Filter by age; Airflow fills in the time of the run."""
    return {"created_at_max": f"{{{{ dag_run.start_date - macros.timedelta(days={days}) }}}}", **filters}


# [END older_than]


@dag(
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2},
    tags=["example", "trackingmore", "cleanup"],
)
def cleaning_up() -> None:
    """Archive, stop and delete old shipments."""
    # [START cleaning_up]
    delivered = ListTrackingsOperator(
        task_id="delivered", filters=older_than(60, status="delivered", archived=False), max_rows=5_000
    )
    archive = UpdateTrackingsOperator(
        task_id="archive", shipments=delivered.output, changes={"archived": True}, on_rejected="report"
    )

    never_found = ListTrackingsOperator(
        task_id="never_found", filters=older_than(90, status="notfound", archived=False), max_rows=5_000
    )
    stop = StopUpdatesOperator(task_id="stop", shipments=never_found.output, on_rejected="report")
    archive_stopped = UpdateTrackingsOperator(
        task_id="archive_stopped", shipments=never_found.output, changes={"archived": True}, on_rejected="report"
    )

    archived = ListTrackingsOperator(task_id="archived", filters=older_than(365, archived=True), max_rows=5_000)
    delete = DeleteTrackingsOperator(task_id="delete", shipments=archived.output, on_rejected="report")

    stop >> archive_stopped
    [archive, archive_stopped] >> archived >> delete
    # [END cleaning_up]


cleaning_up()
