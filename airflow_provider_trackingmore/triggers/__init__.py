"""Triggers, which wait for shipments in the triggerer."""
