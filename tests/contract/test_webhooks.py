"""A webhook is parsed in each form in which the sandbox sends it; the sandbox shares no code with the parser."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.events.webhooks import Webhook, read_webhook
from airflow_provider_trackingmore.exceptions import WebhookSignatureError
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.sandbox.switches import SWITCHES

POSITIONS = [(name, value) for name, switch in SWITCHES.items() for value in switch.values or (switch.default,)]
SHIPMENT = ShipmentKey("usps", "SBX-DELIVERED-2D-1")
OTHER = ShipmentKey("dhl", "ANOTHER0001")


class Receiver:
    """A web server that responds like the vendor's example, and keeps the bodies that it receives."""

    def __init__(self) -> None:
        bodies: list[bytes] = []
        self.bodies = bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"200")

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def sandbox(
    trackingmore_sandbox: SandboxProcess, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> SandboxProcess:
    """A sandbox whose clock is stopped, with a delivered shipment."""
    connection = trackingmore_sandbox.connection
    connection["extra"]["requests_per_second"] = 1_000
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))
    trackingmore_sandbox.freeze()
    trackingmore_sandbox.seed(shipments=[SHIPMENT._asdict() | {"age_hours": 24 * 20}])
    trackingmore_sandbox.set_webhook(receiver.url)
    return trackingmore_sandbox


@pytest.fixture
def email(sandbox: SandboxProcess) -> str:
    with TrackingMoreHook() as hook:
        return str(hook.get_account().email)


@pytest.mark.parametrize(("name", "value"), POSITIONS, ids=lambda part: part)
def test_a_webhook_means_the_same_at_each_position(
    sandbox: SandboxProcess, receiver: Receiver, name: str, value: str
) -> None:
    sandbox.switch(**{name: value})
    with TrackingMoreHook() as hook:
        email = hook.get_account().email
    sandbox.send_webhook(*SHIPMENT)
    sent_at = int(sandbox.clock()["unix"])
    webhook = read_webhook(receiver.bodies[-1], account_email=email, now=sent_at + 5)
    assert webhook == Webhook(SHIPMENT, sent_at, stale=False)
    sandbox.forge_webhook(*SHIPMENT)
    with pytest.raises(WebhookSignatureError):
        read_webhook(receiver.bodies[-1], account_email=email, now=sent_at)


@pytest.mark.parametrize("form", ["v2", "v3"])
def test_a_replay_becomes_stale_and_a_captured_signature_gives_no_more_than_a_hint(
    sandbox: SandboxProcess, receiver: Receiver, email: str, form: str
) -> None:
    sandbox.switch(webhook_form=form)
    attempt = sandbox.send_webhook(*SHIPMENT)
    sandbox.advance(301)
    sandbox.replay_webhook(attempt["serial"])
    sandbox.forge_webhook(*OTHER, signature="captured")
    now = sandbox.clock()["unix"]
    replayed, forged = (read_webhook(body, account_email=email, now=now) for body in receiver.bodies[-2:])
    assert (replayed.key, replayed.stale) == (SHIPMENT, True)
    # The vendor does not sign the body: no reader can tell, so nothing but the shipment's key is taken from it.
    assert (forged.key, forged.stale) == (OTHER, True)


def test_a_retry_of_the_vendor_is_stale_unless_its_time_is_renewed(
    sandbox: SandboxProcess, receiver: Receiver, email: str
) -> None:
    sandbox.forge_webhook(*OTHER, signature="right", age_seconds=3_600)
    sandbox.forge_webhook(*OTHER, signature="right")
    now = sandbox.clock()["unix"]
    assert [read_webhook(body, account_email=email, now=now).stale for body in receiver.bodies] == [True, False]
