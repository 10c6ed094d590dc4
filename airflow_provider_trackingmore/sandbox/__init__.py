"""A stand-in for TrackingMore API v2 with a controllable clock.

It shares no code with the rest of the package, so that they cannot share a mistake.
"""
