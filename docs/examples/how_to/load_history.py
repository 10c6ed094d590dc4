"""Write the shipments registered on each day to one file per day, past days included."""

import os

import pendulum
from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_trackingmore.operators.trackings import ListTrackingsOperator

FOLDER = os.environ.get("HISTORY_FOLDER", "/tmp")  # or s3://my-bucket/shipments

with DAG(
    "load_history",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=2,
) as dag:
    ListTrackingsOperator(
        task_id="write_day",
        filters={
            "created_at_min": "{{ data_interval_start }}",
            "created_at_max": "{{ data_interval_end }}",
        },
        path=FOLDER + "/registered-{{ data_interval_start | ds }}.ndjson",
        retries=3,
    )
