"""Correct the carrier of a parcel, and read the parcel with its new carrier."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.trackings import (
    ChangeCarrierOperator,
    GetTrackingsOperator,
)

with DAG("change_carrier", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    correct = ChangeCarrierOperator(
        task_id="correct",
        tracking_number="SBX-DELIVERED-2D-SECOND",
        carrier_code="ups",
        new_carrier_code="usps",
    )
    GetTrackingsOperator(task_id="read", shipments=correct.output)
