"""The one way to the wire: pace, transport, retry, parse. Knows no Airflow and none of the endpoints."""
