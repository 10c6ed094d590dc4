"""Count the modules that a DAG file loads with its operators, beyond what ``airflow.sdk`` has loaded itself.

Run from the checkout: ``python -m benchmarks.importing``. Other providers are counted where they are installed, such as
by ``pip install apache-airflow-providers-dbt-cloud apache-airflow-providers-http``.
"""

from __future__ import annotations

import subprocess
import sys

FILES = {
    "ours: every operator and sensor": "\n".join(
        f"import airflow_provider_trackingmore.{module}"
        for module in (
            *("operators.account", "operators.air_cargo", "operators.carriers", "operators.trackings"),
            "sensors.shipments",
        )
    ),
    "dbt-cloud provider": "import airflow.providers.dbt.cloud.operators.dbt, airflow.providers.dbt.cloud.sensors.dbt",
    "http provider": "import airflow.providers.http.operators.http, airflow.providers.http.sensors.http",
}
COUNT = """
import sys
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator, DAG, conf
from airflow.triggers.base import BaseTrigger
before = set(sys.modules)
{imports}
new = set(sys.modules) - before
print(len(new), *sorted({{name.partition(".")[0] for name in new}} & {heavy}))
"""
HEAVY = {"requests", "tenacity", "fastapi", "redis", "rich"}


def main() -> None:
    """Print a table."""
    for name, imports in FILES.items():
        code = COUNT.format(imports=imports, heavy=HEAVY)
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1]
            print(f"{name:<32} not counted: {said}")
            continue
        count, *heavy = done.stdout.split("\n")[-2].split()
        print(f"{name:<32} {count:>4} modules, of them heavy: {', '.join(heavy) or 'none'}")


if __name__ == "__main__":
    main()
