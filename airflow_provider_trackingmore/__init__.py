"""Airflow provider for the TrackingMore shipment-tracking API. Importing it imports nothing else."""

__version__ = "0.1.0"
