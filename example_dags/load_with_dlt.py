"""Load shipments and their events with dlt, here into DuckDB.

``hook.stream_shipments`` returns only what has changed. dlt keeps its state at the destination, beside the rows.
Nothing is doubled if a run dies: dlt merges by key. For databases that ``TrackingMoreToSqlOperator`` knows, and for
files, the operators are faster, and they also keep what was known where TrackingMore sends a null.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_trackingmore.retry_policies import TRACKINGMORE_RETRY_POLICY

FILE = os.environ.get("LOAD_WITH_DLT_FILE", "/tmp/warehouse.duckdb")


@dag(
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    # The policy is None before Airflow 3.3, whose operators do not know the argument: from here they do not get it.
    default_args={"retries": 3, "retry_policy": TRACKINGMORE_RETRY_POLICY},
    tags=["example", "trackingmore", "loading"],
)
def load_with_dlt() -> None:
    """Load what has changed since the last run."""

    # [START load_with_dlt]
    @task
    def load() -> dict[str, int]:
        """Run the pipeline, and return the number of rows of each table."""
        import dlt

        from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

        shipment = ["account", "carrier_code", "tracking_number"]
        newest = {"disposition": "merge", "strategy": "upsert"}
        # An event that is known stays as it is: the stream repeats all events of a shipment that has changed.
        history = {"disposition": "merge", "strategy": "insert-only"}
        hints = {
            "trackings": {"primary_key": shipment, "write_disposition": newest},
            "tracking_events": {"primary_key": [*shipment, "event_key"], "write_disposition": history},
            "tracking_status_changes": {"primary_key": [*shipment, "observed_at"], "write_disposition": history},
            "missing_trackings": {"primary_key": shipment, "write_disposition": newest},
        }

        @dlt.resource(name="shipments")
        def shipments() -> Iterator[Any]:
            state = dlt.current.resource_state()
            with TrackingMoreHook() as hook:
                stream = hook.stream_shipments(state.get("stream"))
                for batch in stream:
                    rows = (batch.trackings, batch.events, batch.status_changes, batch.missing)
                    for table, of_table in zip(hints, rows, strict=True):
                        table_hints = dlt.mark.make_hints(table_name=table, **hints[table])
                        yield dlt.mark.with_hints(of_table, table_hints, create_table_variant=True)
                state["stream"] = stream.state

        pipeline = dlt.pipeline("trackingmore", destination=dlt.destinations.duckdb(FILE), dataset_name="trackingmore")
        pipeline.run(shipments())
        counts = pipeline.last_trace.last_normalize_info.row_counts
        return {table: counts.get(table, 0) for table in hints}

    load()
    # [END load_with_dlt]


load_with_dlt()
