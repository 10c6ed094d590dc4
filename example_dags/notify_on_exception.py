"""Tell support as soon as a parcel is in trouble.

The DAG has no schedule of times: it runs when the watcher reports changes, whoever has registered the parcels. Asset
watchers came with Airflow 3.0; on Airflow 2 this DAG only runs by hand, and finds nothing.

The message goes to Slack (``pip install apache-airflow-providers-slack``, connection ``slack``). The notifiers of other
providers, such as ``SmtpNotifier``, work in the same way.
"""

from __future__ import annotations

import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, get_current_context, task

from airflow_provider_trackingmore.events.changes import shipment_changes
from airflow_provider_trackingmore.triggers.shipment_changes import ShipmentChangesTrigger

POKE_INTERVAL = float(os.environ.get("NOTIFY_ON_EXCEPTION_POKE_INTERVAL", 30 * 60))  # seconds

# [START watcher]
try:
    from airflow.sdk import Asset, AssetWatcher
except ImportError:  # Airflow 2
    SCHEDULE: list[Any] | None = None
else:
    trigger = ShipmentChangesTrigger(
        name="parcels_in_trouble",
        statuses=["exception", "expired", "undelivered"],
        poke_interval=POKE_INTERVAL,
    )
    SCHEDULE = [Asset("parcels_in_trouble", watchers=[AssetWatcher(name="trackingmore", trigger=trigger)])]
# [END watcher]


@dag(
    schedule=SCHEDULE,
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 3},
    tags=["example", "trackingmore", "events"],
)
def notify_on_exception() -> None:
    """Post one message with all parcels that have changed."""

    # [START notify]
    @task
    def notify() -> list[str]:
        """Post the changes, and return their ids."""
        from airflow.providers.slack.notifications.slack_webhook import send_slack_webhook_notification

        context: Any = get_current_context()
        changes = shipment_changes(context["triggering_asset_events"]) if SCHEDULE else []
        if changes:
            lines = [f"{change['carrier_code']} {change['tracking_number']}: {change['status']}" for change in changes]
            notifier: Any = send_slack_webhook_notification(slack_webhook_conn_id="slack", text="\n".join(lines))
            notifier.notify(context)
        return [change["id"] for change in changes]

    notify()
    # [END notify]


notify_on_exception()
