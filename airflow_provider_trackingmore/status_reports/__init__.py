"""What the triggerers know about accounts and waits, written for the page in Airflow's API server."""
