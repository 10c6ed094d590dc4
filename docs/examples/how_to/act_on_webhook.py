"""Run when the gateway has received a webhook, and ask TrackingMore what is true."""

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, task

from airflow_provider_trackingmore.operators.trackings import GetTrackingsOperator

webhooks = Asset("x-trackingmore://webhooks")

with DAG(
    "act_on_webhook",
    schedule=[webhooks],
    start_date=pendulum.datetime(2026, 1, 1),
    max_active_runs=1,
) as dag:

    @task
    def named_shipments(triggering_asset_events=None):
        """Return the shipments that the webhooks name, each once."""
        keys = {
            (event.extra["carrier_code"], event.extra["tracking_number"])
            for event in triggering_asset_events[webhooks]
            if "tracking_number" in event.extra
        }
        return [
            {"carrier_code": carrier_code, "tracking_number": tracking_number}
            for carrier_code, tracking_number in sorted(keys)
        ]

    @task
    def act(current_state):
        """Name the shipments that TrackingMore says are delivered."""
        return [
            tracking["tracking_number"]
            for tracking in current_state["found"]
            if tracking["status"] == "delivered"
        ]

    current = GetTrackingsOperator(
        task_id="current_state",
        shipments=named_shipments(),
        on_missing="report",  # a forged webhook may name any number
    )
    act(current.output)
