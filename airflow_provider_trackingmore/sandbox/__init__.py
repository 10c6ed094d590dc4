"""A stand-in for TrackingMore API v2 with a movable clock. Shares no code with the rest of the package, on purpose."""
