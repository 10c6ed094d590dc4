"""Changes of status as asset events, and webhooks: pure functions."""
