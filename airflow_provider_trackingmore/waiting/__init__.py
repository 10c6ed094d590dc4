"""Waiting for shipments: when a wait ends, and how thousands of waits share a few API calls."""
