"""Triggers: wait for shipments in the triggerer."""
