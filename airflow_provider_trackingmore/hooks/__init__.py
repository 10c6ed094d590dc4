"""The hook, which turns an Airflow connection into a client with one method per job."""
