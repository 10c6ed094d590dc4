"""Status reports: what triggerers know about accounts and waits, for the page in Airflow's API server."""
