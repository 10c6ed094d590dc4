"""The command line: ``trackingmore-airflow``, and ``airflow trackingmore`` from Airflow 3.2 on."""
