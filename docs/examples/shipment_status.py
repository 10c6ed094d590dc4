"""Wait until a parcel is out for delivery or lost, and branch on the outcome."""

import pendulum
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, task

from airflow_provider_trackingmore.sensors.shipments import ShipmentStatusSensor

with DAG("shipment_status", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    wait = ShipmentStatusSensor(
        task_id="wait",
        shipments={"carrier_code": "ups", "tracking_number": "SBX-DELIVERED-2D-SECOND"},
        statuses=["pickup", "undelivered", "delivered"],
        fail_on=["exception", "expired"],
        on_failed="report",
        poke_interval=1800,
        timeout=14 * 86400,
        mode="reschedule",
    )

    @task.branch
    def what_happened(outcomes):
        """Branch on the outcome; there is one whether or not the parcel arrived in time."""
        if outcomes is None:
            raise AirflowFailException(
                "The wait was marked as success and has no result: clear it"
            )
        (one,) = outcomes
        return {
            "delivered": "close_order",
            "undelivered": "call_buyer",
            "pickup": "call_buyer",
        }.get(one["outcome"], "open_claim")

    @task
    def close_order():
        """Tell the shop."""
        return "closed"

    @task
    def call_buyer():
        """Ask the buyer to fetch it."""
        return "called"

    @task
    def open_claim():
        """Ask the carrier where it is."""
        return "claimed"

    what_happened(wait.output) >> [close_order(), call_buyer(), open_claim()]
