"""Detect the carriers of numbers, and register those with only one candidate."""

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_trackingmore.operators.carriers import DetectCarrierOperator
from airflow_provider_trackingmore.operators.trackings import CreateTrackingsOperator

NUMBERS = ["1Z9999990312345675", "94001118992233445566", "SBX-UNDETECTABLE-1"]

with DAG("detect_carrier", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:

    @task
    def certain(result):
        """Take the numbers with a single candidate; each entry is a shipment."""
        return result["detected"]

    detect = DetectCarrierOperator(
        task_id="detect",
        tracking_numbers=NUMBERS,
        pick="only",
        on_undetected="report",
        quota_floor=100,
    )
    CreateTrackingsOperator(task_id="register", shipments=certain(detect.output))
