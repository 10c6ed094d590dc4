"""Changes of status as asset events."""
