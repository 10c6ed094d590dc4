"""The sandbox sends webhooks as the vendor does: form, signature, retries; and those that an attacker may send."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.client import SandboxError

RECORDED = json.loads((Path(__file__).parents[1] / "fixtures" / "v2" / "webhook.json").read_text(encoding="utf-8"))
EMAIL = "account-0@sandbox.example"
NUMBER = "SBX-INSTANT-1"
PAUSES = [60 * 2**attempt for attempt in range(14)]


@dataclass
class Receiver:
    """A web server that keeps the bodies it gets. ``answer`` is its status and text."""

    url: str
    answer: tuple[int, str] = (200, "200")
    may_answer: threading.Event = field(default_factory=threading.Event)
    bodies: list[str] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.headers.append(self.headers)
            receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            assert receiver.may_answer.wait(30)
            status, text = receiver.answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hooks?from=sandbox")
        receiver.may_answer.set()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen within 30 s"
        time.sleep(0.01)
    return found


@pytest.fixture
def subscribed(sandbox: Any, receiver: Receiver) -> Any:
    """The sandbox with a registered shipment, its clock standing still."""
    sandbox.freeze()
    sandbox.set_webhook(receiver.url)
    sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": NUMBER, "order_id": "A-1"}])
    return sandbox


def delivered(sandbox: Any, at_least: int = 1) -> list[dict[str, Any]]:
    return wait_for(lambda: len(found := sandbox.webhooks()) >= at_least and found)


def attempts(sandbox: Any) -> list[int]:
    return [webhook["attempt"] for webhook in sandbox.webhooks() if webhook["tracking_number"] == NUMBER]


def is_signed(time_text: object, signature: str) -> bool:
    return signature == hmac.new(EMAIL.encode(), str(time_text).encode(), hashlib.sha256).hexdigest()


def test_a_change_is_sent_in_the_recorded_form(subscribed: Any, receiver: Receiver, caller: Any) -> None:
    assert subscribed.webhooks() == []
    subscribed.advance(hours=2)
    (attempt,) = delivered(subscribed)
    assert attempt | {"clock_unix": 0} == {
        "serial": 1,
        "account": 0,
        "carrier_code": "usps",
        "tracking_number": NUMBER,
        "attempt": 1,
        "clock_unix": 0,
        "http": 200,
        "response": "200",
    }
    body = json.loads(receiver.bodies[0])
    assert list(body) == list(RECORDED["body"])
    assert body["meta"] == RECORDED["body"]["meta"]
    assert set(RECORDED["body"]["data"]) - {"destination_info"} <= set(body["data"])
    assert set(body["data"]["origin_info"]) - {"ReferenceNumber"} == set(RECORDED["body"]["data"]["origin_info"])
    item = caller.item(NUMBER)
    assert {name: body["data"][name] for name in ("id", "tracking_number", "carrier_code", "status", "order_id")} == {
        name: item[name] for name in ("id", "tracking_number", "carrier_code", "status", "order_id")
    }
    assert body["data"]["status"] == "delivered"
    assert body["verifyInfo"]["timeStr"] == int(subscribed.clock()["unix"])
    assert is_signed(time_text=body["verifyInfo"]["timeStr"], signature=body["verifyInfo"]["signature"])
    assert receiver.headers[0]["Content-Type"] == "application/json"


def test_the_key_is_the_email_address_that_the_account_shows(caller: Any) -> None:
    assert caller.get("/trackings/getuserinfo")[1]["email"] == EMAIL


def test_only_changes_after_the_url_was_set_are_sent_and_only_for_its_account(sandbox: Any, receiver: Receiver) -> None:
    sandbox.freeze()
    for account in (0, 1):
        sandbox.seed(1, journey="INSTANT", account=account)
    sandbox.advance(hours=2)
    for account in (0, 1):
        assert sandbox.trackings(account, status="delivered")  # these changes come before the URL is set
    sandbox.set_webhook(receiver.url, account=1)
    for account in (0, 1):
        sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": f"{NUMBER}{account}"}], account=account)
    sandbox.advance(hours=2)
    found = delivered(sandbox)
    assert [(webhook["account"], webhook["tracking_number"]) for webhook in found] == [(1, f"{NUMBER}1")]


def test_a_change_by_the_carrier_is_sent(subscribed: Any, receiver: Receiver) -> None:
    subscribed.advance(hours=2)
    delivered(subscribed)
    subscribed.reopen("usps", NUMBER)
    delivered(subscribed, 2)
    assert json.loads(receiver.bodies[1])["data"]["status"] == "transit"


@pytest.mark.parametrize(
    ("positions", "answer", "arrives"),
    [
        ({}, (204, ""), True),
        ({}, (200, "anything"), True),
        ({}, (302, ""), False),
        ({}, (500, "200"), False),
        ({"webhook_success": "200-text"}, (200, "200\n"), True),
        ({"webhook_success": "200-text"}, (200, "ok"), False),
        ({"webhook_success": "200-text"}, (204, ""), False),
    ],
)
def test_what_does_not_arrive_is_sent_again(
    subscribed: Any, receiver: Receiver, positions: dict[str, str], answer: tuple[int, str], arrives: bool
) -> None:
    subscribed.switch(**positions)
    receiver.answer = answer
    subscribed.advance(hours=2)
    (first,) = delivered(subscribed)
    assert (first["http"], first["response"]) == answer
    receiver.answer = (200, "200")
    subscribed.advance(60)
    if arrives:
        subscribed.send_webhook("usps", NUMBER)
        assert [webhook["attempt"] for webhook in subscribed.webhooks()] == [1, 1]
    else:
        assert [webhook["attempt"] for webhook in delivered(subscribed, 2)] == [1, 2]


def test_retries_follow_with_growing_pauses_of_the_clock_and_end(subscribed: Any, receiver: Receiver) -> None:
    receiver.answer = (503, "")
    subscribed.advance(hours=2)
    for attempt, pause in enumerate(PAUSES, start=1):
        delivered(subscribed, attempt)
        subscribed.advance(pause - 1)
        subscribed.forge_webhook("usps", "BETWEEN01")
        assert len(attempts(subscribed)) == attempt
        subscribed.advance(1)
        wait_for(lambda: len(attempts(subscribed)) > attempt)  # noqa: B023
    subscribed.advance(days=30)
    subscribed.forge_webhook("usps", "AFTERWARDS")
    assert attempts(subscribed) == list(range(1, 16))
    assert len({body for body in receiver.bodies if NUMBER in body}) == 1


def test_a_receiver_that_cannot_be_reached_gets_retries(subscribed: Any, receiver: Receiver) -> None:
    subscribed.set_webhook("http://127.0.0.1:1/closed")
    subscribed.advance(hours=2)
    assert delivered(subscribed)[0]["http"] is None
    subscribed.set_webhook(receiver.url)
    subscribed.advance(60)
    assert [webhook["http"] for webhook in delivered(subscribed, 2)] == [None, 200]


def test_without_retries_nothing_is_sent_again(subscribed: Any, receiver: Receiver) -> None:
    subscribed.switch(webhook_retries="none")
    receiver.answer = (500, "")
    subscribed.advance(hours=2)
    delivered(subscribed)
    subscribed.advance(days=30)
    subscribed.forge_webhook("usps", "AFTERWARDS")
    assert [webhook["tracking_number"] for webhook in subscribed.webhooks()] == [NUMBER, "AFTERWARDS"]


def test_the_time_of_a_retry_may_be_renewed(subscribed: Any, receiver: Receiver) -> None:
    subscribed.switch(webhook_retry_time="renewed")
    receiver.answer = (500, "")
    subscribed.advance(hours=2)
    delivered(subscribed)
    subscribed.advance(60)
    delivered(subscribed, 2)
    first, second = (json.loads(body)["verifyInfo"] for body in receiver.bodies)
    assert second["timeStr"] == first["timeStr"] + 60
    assert is_signed(second["timeStr"], second["signature"])


def test_the_other_forms(subscribed: Any, receiver: Receiver) -> None:
    subscribed.switch(webhook_form="v3", webhook_time="text", webhook_wrapping="text")
    subscribed.send_webhook("usps", NUMBER)
    (text,) = receiver.bodies
    assert not text.startswith("{")
    body = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert set(body) == {"data", "timestamp", "signature"}
    assert (body["data"]["courier_code"], "carrier_code" in body["data"]) == ("usps", False)
    assert isinstance(body["timestamp"], str)
    assert is_signed(body["timestamp"], body["signature"])
    subscribed.forge_webhook("usps", "OTHER0001", signature="captured")
    forged = json.loads(receiver.bodies[1].removeprefix("push="))
    assert forged["signature"] == body["signature"]
    assert forged["data"] == {"courier_code": "usps", "tracking_number": "OTHER0001", "status": "delivered"}


def test_replays_and_forgeries(subscribed: Any, receiver: Receiver) -> None:
    with pytest.raises(SandboxError, match="nothing has been sent"):
        subscribed.forge_webhook("usps", "OTHER0001", signature="captured")
    sent = subscribed.send_webhook("usps", NUMBER)
    subscribed.advance(600)
    again = subscribed.replay_webhook(sent["serial"])
    assert (again["serial"], again["http"]) == (sent["serial"] + 1, 200)
    assert receiver.bodies[0] == receiver.bodies[1]
    subscribed.forge_webhook("usps", "OTHER0001", signature="captured")
    subscribed.forge_webhook("usps", "OTHER0001", signature="wrong", status="exception")
    subscribed.forge_webhook("usps", "OTHER0001", signature="right", age_seconds=3_600)
    captured, wrong, right = (json.loads(body) for body in receiver.bodies[2:])
    assert captured["verifyInfo"] == json.loads(receiver.bodies[0])["verifyInfo"]
    assert captured["data"] == {"carrier_code": "usps", "tracking_number": "OTHER0001", "status": "delivered"}
    assert wrong["data"]["status"] == "exception"
    assert not is_signed(wrong["verifyInfo"]["timeStr"], wrong["verifyInfo"]["signature"])
    assert is_signed(right["verifyInfo"]["timeStr"], right["verifyInfo"]["signature"])
    assert right["verifyInfo"]["timeStr"] == int(subscribed.clock()["unix"]) - 3_600


def test_webhooks_that_wait_for_others_are_not_sent_after_a_reset(sandbox: Any, receiver: Receiver) -> None:
    sandbox.freeze()
    sandbox.set_webhook(receiver.url)
    sandbox.seed(20, journey="INSTANT")
    receiver.may_answer.clear()
    sandbox.advance(hours=2)
    wait_for(lambda: len(receiver.bodies) == 8)  # as many as are sent at once
    sandbox.reset()
    receiver.may_answer.set()
    sandbox.set_webhook(receiver.url)
    sandbox.seed(shipments=[{"carrier_code": "usps", "tracking_number": NUMBER}])
    sandbox.send_webhook("usps", NUMBER)
    assert [webhook["tracking_number"] for webhook in sandbox.webhooks()] == [NUMBER]
    assert len(receiver.bodies) == 9


def test_the_url_never_shows_and_a_reset_forgets_it(subscribed: Any, receiver: Receiver) -> None:
    subscribed.send_webhook("usps", NUMBER)
    assert receiver.url not in json.dumps([subscribed.webhooks(), subscribed.accounts()])
    subscribed.reset()
    assert subscribed.webhooks() == []
    subscribed.seed(shipments=[{"carrier_code": "usps", "tracking_number": NUMBER}])
    with pytest.raises(SandboxError, match="no webhook_url"):
        subscribed.send_webhook("usps", NUMBER)
