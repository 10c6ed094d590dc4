"""``python -m airflow_provider_trackingmore``."""

from airflow_provider_trackingmore.cli.program import main

if __name__ == "__main__":
    raise SystemExit(main())
