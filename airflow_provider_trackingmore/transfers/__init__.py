"""Operators that load trackings into databases and files."""
