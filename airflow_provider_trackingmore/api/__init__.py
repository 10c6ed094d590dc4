"""TrackingMore API v2 as pure data: requests, answers, errors, limits. No Airflow, no sockets, no clock, no sleep."""
