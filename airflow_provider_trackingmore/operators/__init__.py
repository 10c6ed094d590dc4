"""Operators, each for one endpoint of the API."""
