"""Fail once a day, and so raise an alarm, while the account has little quota left."""

import pendulum
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, task
from airflow.providers.slack.notifications.slack_webhook import (
    send_slack_webhook_notification,
)

from airflow_provider_trackingmore.operators.account import GetAccountOperator

LOW = 1000  # shipments that can still be registered

with DAG(
    "quota_alarm",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
) as dag:
    account = GetAccountOperator(task_id="account", retries=2)

    @task(
        on_failure_callback=send_slack_webhook_notification(
            slack_webhook_conn_id="slack", text="TrackingMore: {{ exception }}"
        )
    )
    def check_quota(account):
        """Fail if less than LOW is left. None means that TrackingMore did not say."""
        left = account["quota_left"]
        if left is not None and left < LOW:
            raise AirflowFailException(f"{left} units of quota left, fewer than {LOW}")

    check_quota(account.output)
