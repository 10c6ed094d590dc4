"""What runs in Airflow's API server."""
