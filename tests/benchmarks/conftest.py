"""What the tests of all benchmarks share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _environment_as_before() -> Iterator[None]:
    """Benchmarks set variables for their own process, which is that of the tests here."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
