"""Airflow's API server in this process, and users with each role."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from airflow import __version__

HAS_PAGES = tuple(map(int, __version__.split(".")[:2])) >= (3, 1)
if not HAS_PAGES:
    collect_ignore_glob = ["test_*"]  # there are no pages of plugins

if TYPE_CHECKING:
    import httpx
    from starlette.testclient import TestClient

ROLES = ("viewer", "user", "op", "admin")


class ApiServer:
    """Sends requests to Airflow's API server.

    :param client: the connection to it.
    """

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def get(self, path: str, role: str | None = "viewer", **more: object) -> httpx.Response:
        """``GET /trackingmore/page/{path}`` as a user with this role; None: anonymous."""
        return self.request("GET", path, role, **more)

    def request(self, method: str, path: str, role: str | None = "viewer", **more: object) -> httpx.Response:
        headers = {**more.pop("headers", {}), **({} if role is None else {"Authorization": f"Bearer {token(role)}"})}  # type: ignore[dict-item]
        return self.client.request(method, f"/trackingmore/page/{path}", headers=headers, **more)  # type: ignore[arg-type]


def token(role: str) -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=f"a-{role}", role=role))


@pytest.fixture(scope="session")
def _airflow(airflow_database: None) -> TestClient:
    os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = "a secret of these tests" * 3
    from airflow.api_fastapi.app import create_app
    from starlette.testclient import TestClient

    return TestClient(create_app("core"), raise_server_exceptions=False)


@pytest.fixture
def api_server(_airflow: TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """Each test has its own page, in the same API server."""
    from starlette.routing import Mount

    from airflow_provider_trackingmore.plugins.app import PluginApp

    (mount,) = (route for route in _airflow.app.routes if isinstance(route, Mount) and route.path == "/trackingmore")  # type: ignore[attr-defined]
    monkeypatch.setattr(mount, "app", PluginApp())
    with _airflow:  # one event loop for all requests
        yield ApiServer(_airflow)
