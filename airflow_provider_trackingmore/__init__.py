"""Airflow provider for the TrackingMore shipment-tracking API. Knows its version; importing it costs nothing."""

__version__ = "0.1.0"
