"""Sensors that wait for shipments, on a worker or in the triggerer."""
