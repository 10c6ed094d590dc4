"""Track an air waybill."""

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.operators.air_cargo import TrackAirCargoOperator

with DAG("track_air_cargo", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    TrackAirCargoOperator(task_id="follow", waybills="172-31415926", quota_floor=1000)
