"""Recorded requests and responses of the vendor, as fixtures: real shapes with invented values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from airflow_provider_trackingmore.api.envelope import Request, parse_response

T = TypeVar("T")
RECORDS = Path(__file__).parents[2] / "fixtures" / "v2"


@pytest.fixture
def record() -> Callable[[str], Any]:
    """Load one recorded exchange by name."""
    return lambda name: json.loads((RECORDS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def read() -> Callable[..., Any]:
    """Parse a response given as plain data, as it would arrive over the wire."""

    def read_plain(
        request: Request[T], response: object, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> T:
        body = response if isinstance(response, bytes) else json.dumps(response).encode()
        return parse_response(request, status, headers or {"Content-Type": "application/json"}, body)

    return read_plain
