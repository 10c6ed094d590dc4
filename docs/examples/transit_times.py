"""Read the transit times of two lanes."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.carriers import TransitTimesOperator

LANES = [
    {"carrier_code": "usps", "original": "CN", "destination": "US"},
    {"carrier_code": "dhl", "original": "DE", "destination": "FR"},
]

with DAG("transit_times", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    TransitTimesOperator(task_id="lanes", lanes=LANES)
