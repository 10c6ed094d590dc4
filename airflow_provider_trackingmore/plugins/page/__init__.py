"""The page "Shipments" in Airflow's UI: static files, and JSON for them. Only the API server imports this."""
