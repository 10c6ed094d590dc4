"""Post to Slack when a parcel has an exception, and when a task fails."""

import pendulum
from airflow.providers.common.compat.sdk import DAG, task
from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook
from airflow.providers.slack.notifications.slack_webhook import (
    send_slack_webhook_notification,
)

from airflow_provider_trackingmore.operators.trackings import CreateTrackingsOperator
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

PARCELS = [
    {"carrier_code": "dhl", "tracking_number": "SBX-DELIVERED-1D-FINE"},
    {"carrier_code": "ups", "tracking_number": "SBX-EXCEPTION-1D-LOST"},
]

task_failed = send_slack_webhook_notification(
    slack_webhook_conn_id="slack",
    text="{{ dag.dag_id }}.{{ task_instance.task_id }} failed: {{ exception }}",
)

with DAG(
    "alert_on_exception",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    default_args={"on_failure_callback": task_failed},
) as dag:
    register = CreateTrackingsOperator(task_id="register", shipments=PARCELS)
    wait = ShipmentDeliveredSensor(
        task_id="wait",
        shipments=PARCELS,
        fail_on=["exception", "expired"],
        on_failed="report",
        poke_interval=1800,
        deferrable=True,
    )

    @task
    def report_problems(outcomes):
        """Post one message that lists the parcels with a problem."""
        problems = [
            f"{parcel['carrier_code']} {parcel['tracking_number']}: {parcel['outcome']}"
            for parcel in outcomes
            if parcel["outcome"] != "delivered"
        ]
        if problems:
            hook = SlackWebhookHook(slack_webhook_conn_id="slack")
            hook.send(text="\n".join(problems))

    register >> wait
    report_problems(wait.output)
