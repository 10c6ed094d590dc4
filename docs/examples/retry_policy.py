"""Retry only failures that a retry can fix."""

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.trackings import CountByStatusOperator
from airflow_provider_trackingmore.retry_policies import TRACKINGMORE_RETRY_POLICY

with DAG(
    "retry_policy",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
        "retry_policy": TRACKINGMORE_RETRY_POLICY,
    },
) as dag:
    CountByStatusOperator(task_id="count")
