"""Check whether carriers treat a place as a remote area."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.carriers import RemoteAreasOperator

PLACES = [
    {"country": "US", "postcode": "REMOTE-99723", "company": "ups"},
    {"country": "US", "postcode": "CITY-10001", "company": "ups"},
]

with DAG("remote_areas", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    RemoteAreasOperator(task_id="remote", places=PLACES, quota_floor=100)
