"""The Airflow plugin: the webhook route and the page, which run in Airflow's API server."""
