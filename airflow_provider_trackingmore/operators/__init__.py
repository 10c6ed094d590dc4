"""Operators: one task, one job."""
