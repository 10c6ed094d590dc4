"""The HTTP client: rate limit, transport and retries. It does not depend on Airflow or on single endpoints."""
