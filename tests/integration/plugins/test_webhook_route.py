"""The webhook route on a real server, as Airflow mounts it: its responses, its hints and its log."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import uvicorn
from starlette.applications import Starlette

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.events.webhook_settings import WebhookSettings
from airflow_provider_trackingmore.plugins import webhook_connections, webhook_route
from airflow_provider_trackingmore.plugins.hints import Hints
from airflow_provider_trackingmore.plugins.webhook_connections import WebhookConnections
from airflow_provider_trackingmore.plugins.webhook_route import LOGGED_PATH, MAX_BODY_BYTES, WebhookRoute
from airflow_provider_trackingmore.sandbox.process import SandboxProcess

SECRET = "a-secret-of-the-url-91c4"
EMAIL = "account-0@sandbox.example"
SHIPMENT = ShipmentKey("usps", "SBX-STUCK-1")


class Server:
    """A server with the route.

    :param hints: the hints of the route: connection, shipment, and whether it is stale.
    :param log: what was logged.
    """

    def __init__(self, hints: list[tuple[str, ShipmentKey, bool]], log: list[str]) -> None:
        self.hints = hints
        self.settings: list[Any] = []
        self.log = log
        root = Starlette()
        root.mount("/trackingmore", WebhookRoute())
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(100)  # connections that come before the server is ready wait
        self._server = uvicorn.Server(uvicorn.Config(root, log_config=None, lifespan="off"))
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve([self._socket])))
        self._thread.start()
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/trackingmore/webhooks/trackingmore_default/{SECRET}"

    def post(self, body: Any = b"", *, url: str | None = None, **more: Any) -> requests.Response:
        content = body if isinstance(body, bytes) or hasattr(body, "__next__") else json.dumps(body).encode()
        return requests.post(url or self.url, data=content, timeout=60, **more)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture
def connect(trackingmore_sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the extra of the connection."""

    def connect(**extra: object) -> None:
        connection = trackingmore_sandbox.connection
        connection["extra"] |= {"webhook_secret": SECRET} | extra
        monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))

    connect()
    return connect


@pytest.fixture
def server(connect: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    hints: list[tuple[str, ShipmentKey, bool]] = []
    settings: list[Any] = []

    def note(_: Hints, conn_id: str, key: ShipmentKey, *, stale: bool, **of_connection: object) -> None:
        hints.append((conn_id, key, stale))
        settings.append(of_connection["client_settings"])

    monkeypatch.setattr(Hints, "add", note)
    log: list[str] = []
    handler = logging.Handler(0)
    handler.emit = lambda record: log.append(record.getMessage())  # type: ignore[method-assign]
    for name in ("uvicorn.access", "uvicorn.error", webhook_route.__name__, webhook_connections.__name__):
        logging.getLogger(name).addHandler(handler)
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "level", logging.INFO)
    running = Server(hints, log)
    running.settings = settings
    yield running
    running.close()
    for name in ("uvicorn.access", "uvicorn.error", webhook_route.__name__, webhook_connections.__name__):
        logging.getLogger(name).removeHandler(handler)


def signed(key: ShipmentKey = SHIPMENT, *, email: str = EMAIL, age: float = 0) -> dict[str, Any]:
    sent_at = int(time.time() - age)
    signature = hmac.new(email.encode(), str(sent_at).encode(), hashlib.sha256).hexdigest()
    return {"data": key._asdict(), "verifyInfo": {"timeStr": sent_at, "signature": signature}}


def until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_webhook_of_the_sandbox_becomes_a_hint(server: Server, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.reset(start=time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()), time_scale=1)
    trackingmore_sandbox.seed(shipments=[SHIPMENT._asdict()])
    trackingmore_sandbox.set_webhook(server.url)
    attempt = trackingmore_sandbox.send_webhook(*SHIPMENT)
    assert (attempt["http"], attempt["response"]) == (200, "200")
    until(lambda: server.hints)
    assert server.hints == [("trackingmore_default", SHIPMENT, False)]
    assert trackingmore_sandbox.forge_webhook(*SHIPMENT)["http"] == 401
    assert len(server.hints) == 1


def test_a_stale_webhook_is_answered_with_200_and_marked(server: Server) -> None:
    assert server.post(signed(age=3_600)).text == "200"
    until(lambda: server.hints)
    assert server.hints == [("trackingmore_default", SHIPMENT, True)]


@pytest.mark.parametrize("extra", [{"webhook_secret": ""}, {"webhook_secret": "short"}, {"webhook_secret": 7}])
def test_without_a_secret_of_its_connection_the_route_is_off(
    server: Server, connect: Any, extra: dict[str, object]
) -> None:
    connect(**extra)
    url = server.url.replace(SECRET, str(extra["webhook_secret"]) or "x")
    assert server.post(signed(), url=url).status_code == 404
    assert server.hints == []


def test_settings_that_are_invalid_on_this_host_do_not_turn_the_route_off(server: Server, connect: Any) -> None:
    """A CA bundle, for instance, may be on the workers only."""
    connect(webhook_email=EMAIL, verify="/no/such/bundle.pem")
    assert server.post(signed()).status_code == 200
    until(lambda: server.settings)
    assert server.settings == [None]
    assert any("verify" in line for line in server.log)


def test_a_hint_knows_how_to_reach_the_account(
    server: Server, connect: Any, trackingmore_sandbox: SandboxProcess
) -> None:
    connect(webhook_email=EMAIL)
    server.post(signed())
    until(lambda: server.settings)
    assert server.settings[0].base_url == trackingmore_sandbox.connection["host"]


@pytest.mark.parametrize("name", ["webhook_tolerance_seconds", "webhook_hints_per_minute"])
def test_an_invalid_setting_turns_the_route_off_and_the_log_names_it(server: Server, connect: Any, name: str) -> None:
    connect(**{name: "many"})
    assert server.post(signed()).status_code == 404
    assert any(name in line for line in server.log)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_find_nothing(server: Server, method: str) -> None:
    answer = requests.request(method, server.url, timeout=60)
    assert (answer.status_code, answer.text) == (404, "")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/webhooks",
        "/webhooks/trackingmore_default",
        f"/webhooks//{SECRET}",
        f"/webhooks/trackingmore_default/{SECRET}/more",
        f"/webhooks/trackingmore_default/x{SECRET}",
        f"/webhooks/trackingmore_default/{SECRET[:-1]}",
        f"/webhooks/trackingmore_default/{SECRET.upper()}",
        f"/webhooks/trackingmore_default/%00{SECRET}",
        f"/webhooks/trackingmore_default/..%2f{SECRET}",
        f"/webhooks/../webhooks/trackingmore_default/{SECRET}x",
        f"/webhooks/nobody/{SECRET}",
        f"/webhooks/{SECRET}/trackingmore_default",
        f"/{SECRET}?secret={SECRET}",
    ],
)
def test_other_paths_find_nothing_and_leave_nothing_in_the_access_log(server: Server, path: str) -> None:
    request = requests.Request("POST", "http://127.0.0.1/", data=json.dumps(signed())).prepare()
    request.url = f"http://127.0.0.1:{server.port}/trackingmore{path}"
    with requests.Session() as session:
        answer = session.send(request, timeout=60)
    assert answer.status_code in (404, 307 if not path else 404)
    assert server.hints == []
    until(lambda: server.log)
    assert SECRET.lower() not in "".join(server.log).lower()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (signed(email="stranger@attacker.example"), 401),
        (b"", 400),
        (b"not json", 400),
        (b"\xff\xfe" * 1_000, 400),
        (b'{"a":' * 200_000, 400),
        ({"data": SHIPMENT._asdict()}, 400),
        (signed(ShipmentKey("usps", "line\nbreak")), 400),
        (b"x" * MAX_BODY_BYTES, 400),
        (b"x" * (MAX_BODY_BYTES + 1), 413),
    ],
    ids=lambda value: str(value)[:20],
)
def test_anything_but_a_webhook_is_refused_without_detail(server: Server, body: Any, status: int) -> None:
    answer = server.post(body)
    assert (answer.status_code, answer.text) == (status, "")
    assert server.hints == []
    until(lambda: any(LOGGED_PATH in line and str(status) in line for line in server.log))
    assert SECRET not in "".join(server.log)
    assert not any(name in "".join(server.log) for name in ("line", SHIPMENT.tracking_number)), "the body is not logged"


def test_a_body_without_a_length_is_read_up_to_the_limit(server: Server) -> None:
    assert server.post(iter([json.dumps(signed()).encode()])).status_code == 200
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 100_000
            yield b" " * 100_000

    try:
        assert server.post(endless()).status_code == 413
    except requests.ConnectionError:  # the server has answered and closed the connection
        until(lambda: any(" 413" in line for line in server.log))
    assert sent < 60_000_000


def test_the_body_is_not_read_without_the_secret(server: Server) -> None:
    """The response comes before the body, whatever its announced length."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        path = f"/trackingmore/webhooks/trackingmore_default/{'x' * 20}"
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 60000000\r\n\r\n".encode())
        assert b" 404 " in connection.recv(1_000)


def test_a_slow_body_times_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_route, "BODY_SECONDS", 0.2)
    head = f"POST {server.url.partition(str(server.port))[2]} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head.encode() + b"{")
        assert b" 408 " in connection.recv(1_000)


def test_the_account_is_asked_once_for_the_key_of_the_signature(
    server: Server, trackingmore_sandbox: SandboxProcess
) -> None:
    for _ in range(5):
        assert server.post(signed()).status_code == 200
    assert [call["path"] for call in trackingmore_sandbox.calls()] == ["/trackings/getuserinfo"]


def test_a_key_in_the_connection_saves_the_call(
    server: Server, connect: Any, trackingmore_sandbox: SandboxProcess
) -> None:
    connect(webhook_email="other@shop.example")
    assert server.post(signed()).status_code == 401
    assert server.post(signed(email="other@shop.example")).status_code == 200
    assert trackingmore_sandbox.calls() == []


def test_while_the_key_is_unknown_no_webhook_is_accepted(server: Server, trackingmore_sandbox: SandboxProcess) -> None:
    trackingmore_sandbox.change_account(deleted=True)
    for _ in range(5):
        assert server.post(signed()).status_code == 503
    assert len(trackingmore_sandbox.calls()) == 1, "the account is not asked for each webhook"
    assert server.hints == []
    assert any("webhook_email" in line for line in server.log)


async def test_a_connection_whose_address_is_known_does_not_wait_for_that_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = threading.Event()
    monkeypatch.setattr(
        webhook_connections, "_ask_email", lambda conn_id: EMAIL if conn_id == "known" or slow.wait(30) else None
    )
    connections, settings = WebhookConnections(), WebhookSettings(SECRET)
    assert await connections.email("known", settings) == EMAIL
    other = asyncio.create_task(connections.email("slow", settings))
    await asyncio.sleep(0.1)
    try:
        async with asyncio.timeout(5):
            assert await connections.email("known", settings) == EMAIL
    finally:
        slow.set()
        await other


def test_a_flood_reads_a_connection_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = webhook_connections._read_settings
    monkeypatch.setattr(webhook_connections, "_read_settings", lambda name: read.append(name) or original(name))
    for _ in range(20):
        assert server.post(signed(), url=server.url + "x").status_code == 404
    assert read == ["trackingmore_default"]


def test_a_connection_of_another_type_accepts_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"conn_type": "http", "extra": {"webhook_secret": SECRET}}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(other))
    assert server.post(signed(), url=server.url.replace("trackingmore_default", "other")).status_code == 404
