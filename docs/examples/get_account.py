"""Skip the rest of a run if little quota is left."""

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_trackingmore.operators.account import GetAccountOperator

with DAG("get_account", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:

    @task.short_circuit
    def enough(account):
        """Continue only if enough quota is left."""
        return account["quota_left"] is None or account["quota_left"] >= 1000

    account = GetAccountOperator(task_id="account")
    enough(account.output)
