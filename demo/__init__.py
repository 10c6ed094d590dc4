"""The demo: a real Airflow, the sandbox and the example DAG, put together for a minute. No part of the package."""
