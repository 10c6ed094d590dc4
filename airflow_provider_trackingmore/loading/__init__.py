"""Incremental loads: decide what to request, build rows and find what has changed; the targets write them."""
