"""The command line: ``airflow trackingmore`` and ``python -m airflow_provider_trackingmore``. Imports nothing."""
