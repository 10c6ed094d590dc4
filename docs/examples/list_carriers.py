"""List all carriers, and select the codes of some of them."""

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_trackingmore.operators.carriers import ListCarriersOperator

with DAG("list_carriers", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:

    @task
    def codes(carriers):
        """Select the codes that begin with dpd."""
        return sorted(
            carrier["code"] for carrier in carriers if carrier["code"].startswith("dpd")
        )

    everyone = ListCarriersOperator(task_id="everyone")
    codes(everyone.output)
