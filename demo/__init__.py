"""The demo: a real Airflow runs the example DAG against the sandbox. Not part of the package."""
