"""A sandbox process for these tests, and an independent v2 caller written from the reference alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.sandbox.pytest_plugin import (  # noqa: F401 - a source tree has no entry points
    _trackingmore_sandbox_process,
    trackingmore_sandbox,
)

KEYS = ("first-test-key", "second-test-key")
START = "2026-03-02T08:00:00+00:00"

CREATED_FIELDS = {
    "id",
    "tracking_number",
    "carrier_code",
    "order_create_time",
    "status",
    "created_at",
    "customer_email",
    "customer_name",
    "customer_phone",
    "order_id",
    "comment",
    "title",
    "logistics_channel",
    "destination",
}
"""The fields of a new tracking."""


@dataclass
class Caller:
    """What a user of plain requests would write."""

    base_url: str
    key: str | None = KEYS[0]
    session: requests.Session = field(default_factory=requests.Session)

    def send(self, method: str, path: str, **given: Any) -> requests.Response:
        headers = {"Trackingmore-Api-Key": self.key} if self.key else {}
        headers |= given.pop("headers", {})
        return self.session.request(method, self.base_url + path, headers=headers, timeout=60, **given)

    def ask(self, method: str, path: str, **given: Any) -> tuple[int, Any]:
        response = self.send(method, path, **given)
        assert response.headers["content-type"] == "application/json"
        content = response.json()
        assert set(content) == {"meta", "data"}
        return content["meta"]["code"], content["data"]

    def code(self, method: str, path: str, **given: Any) -> int:
        return self.ask(method, path, **given)[0]

    def get(self, path: str, **query: Any) -> tuple[int, Any]:
        return self.ask("GET", path, params=query)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        return self.ask("POST", path, json=body)

    def create(self, number: str, carrier: str = "usps", **details: Any) -> tuple[int, Any]:
        return self.post("/trackings/post", {"tracking_number": number, "carrier_code": carrier, **details})

    def item(self, number: str, carrier: str = "usps") -> dict[str, Any]:
        code, data = self.get(f"/trackings/{carrier}/{number}")
        assert code == 200
        return data


@pytest.fixture(scope="session")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess(api_keys=KEYS, no_limits=True, start=START, seed=1) as process:
        yield process


@pytest.fixture
def sandbox(running: SandboxProcess) -> SandboxProcess:
    """A fresh sandbox without rate limits."""
    running.reset()
    return running


@pytest.fixture
def caller(sandbox: SandboxProcess) -> Iterator[Caller]:
    with requests.Session() as session:
        yield Caller(sandbox.base_url, session=session)


@pytest.fixture
def second(sandbox: SandboxProcess) -> Iterator[Caller]:
    """A caller with the key of the second account."""
    with requests.Session() as session:
        yield Caller(sandbox.base_url, KEYS[1], session)
