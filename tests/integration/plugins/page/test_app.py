"""The page in Airflow's API server: who may open it, its headers, and what happens when it fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_trackingmore.plugins import app as plugin_app
from airflow_provider_trackingmore.plugins.webhook_route import LOGGED_PATH
from tests.integration.plugins.page.conftest import ROLES, token

if TYPE_CHECKING:
    from tests.integration.plugins.page.conftest import ApiServer

FILES = ("", "index.html", "task.html")


@pytest.mark.parametrize("path", FILES)
def test_the_page_needs_a_login(api_server: ApiServer, path: str) -> None:
    assert api_server.get(path, None).status_code == 401
    assert api_server.get(path, None, headers={"Authorization": "Bearer made-up"}).status_code == 403
    for role in ROLES:
        answer = api_server.get(path, role)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_the_cookie_of_the_ui_is_enough(api_server: ApiServer) -> None:
    assert api_server.get("", None, headers={"Cookie": f"_token={token('viewer')}"}).status_code == 200


@pytest.mark.parametrize(("path", "role"), [("", "viewer"), ("", None), ("none.js", "viewer"), ("a/b/c", "viewer")])
def test_every_answer_has_a_strict_policy(api_server: ApiServer, path: str, role: str | None) -> None:
    headers = api_server.get(path, role).headers
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "frame-ancestors": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


def test_a_file_is_sent_again_only_after_it_has_changed(api_server: ApiServer) -> None:
    first = api_server.get("")
    again = api_server.get("", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert api_server.get("", headers={"If-None-Match": '"old"'}).content == first.content
    assert first.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("name", ["none.js", "..%2fapp.py", "../app.py", "__init__.py", "%00", "api"])
def test_there_are_no_other_files(api_server: ApiServer, name: str) -> None:
    answer = api_server.get(name)
    assert answer.status_code in (404, 405)
    assert "import" not in answer.text


API = ("api/waits", "api/wait?dag_id=orders&run_id=run&task_id=wait", "api/accounts", "api/lanes")


def test_there_are_no_other_routes() -> None:
    from airflow_provider_trackingmore.plugins.deferred_waits import DeferredWaits
    from airflow_provider_trackingmore.plugins.page.routes import PageRoutes

    paths = {route.path for route in PageRoutes(DeferredWaits()).router().routes}  # type: ignore[attr-defined]
    assert paths == {f"/page/{path.partition('?')[0]}" for path in API}


@pytest.mark.parametrize("path", [*API, *FILES])
def test_without_access_to_the_views_of_plugins_a_user_gets_nothing(
    api_server: ApiServer, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    asked = []

    def refuse(_: object, *, access_view: AccessView, user: object) -> bool:
        asked.append(access_view)
        return False

    assert api_server.get(path, None).status_code == 401
    monkeypatch.setattr(SimpleAuthManager, "is_authorized_view", refuse)
    answer = api_server.get(path, "admin")
    assert (answer.status_code, set(answer.json()["detail"])) == (403, {"message", "hint"})
    assert asked == [AccessView.PLUGINS]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["", "index.html", *API])
def test_nothing_can_be_changed(api_server: ApiServer, method: str, path: str) -> None:
    answer = api_server.request(method, path, "admin", headers={"Origin": "https://attacker.example"})
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


def test_errors_have_one_form(api_server: ApiServer) -> None:
    for path, role in [("", None), ("none.js", "viewer"), ("a/b", "viewer")]:
        detail = api_server.get(path, role).json()["detail"]
        assert set(detail) == {"message", "hint"}


def test_unknown_paths_are_hidden_from_the_access_log_since_they_may_contain_the_secret_of_a_webhook(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    original = plugin_app.WebhookRoute.__call__

    async def note(*arguments: object) -> None:
        await original(*arguments)  # type: ignore[arg-type]
        seen.append(arguments[1]["path"])  # type: ignore[index]

    monkeypatch.setattr(plugin_app.WebhookRoute, "__call__", note)
    for path in ("webhook/conn/secret", "pages/secret", "webhooks/conn/secret", "pagesecret"):
        assert api_server.client.post(f"/trackingmore/{path}").status_code == 404
    assert seen == [LOGGED_PATH] * 4


async def test_a_page_that_cannot_be_built_leaves_webhooks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    from airflow_provider_trackingmore.plugins.page import app as page_app

    def fail(_: object) -> None:
        raise ImportError("this Airflow is newer, and the key is sk-123")

    monkeypatch.setattr(page_app, "create_page", fail)
    root = Starlette()
    root.mount("/trackingmore", plugin_app.PluginApp())
    client = TestClient(root)
    broken = client.get("/trackingmore/page/")
    assert (broken.status_code, set(json.loads(broken.content)["detail"])) == (503, {"message", "hint"})
    assert "sk-123" not in broken.text
    assert client.post("/trackingmore/webhooks/conn/secret").status_code == 404
