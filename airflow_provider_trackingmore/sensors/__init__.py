"""Sensors: wait for shipments on a worker, or defer."""
