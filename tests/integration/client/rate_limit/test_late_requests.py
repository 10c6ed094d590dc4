"""A process that is delayed after acquiring its slot must not send if others may have sent in the meantime."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import RateLimitError
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.client.conftest import FakeTime
from tests.integration.client.fault_server import FaultServer, answer
from tests.integration.client.redis_server import RedisServer

REQUEST = Request(method="GET", path="/carriers", parse=lambda data: data)
MakeClient = Callable[..., TrackingMoreClient]

SENDER = """
import os, signal, socket, sys
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.settings import ClientSettings

url, key, pacing, times, suspended_at_port = sys.argv[1:]
resolve = socket.getaddrinfo

def suspended(host, port, *arguments, **options):
    if str(port) == suspended_at_port:
        os.kill(os.getpid(), signal.SIGSTOP)
    return resolve(host, port, *arguments, **options)

socket.getaddrinfo = suspended
request = Request(method="GET", path="/carriers", parse=lambda data: data)
with TrackingMoreClient(ClientSettings(api_key=key, base_url=url, pacing=pacing)) as client:
    for _ in range(int(times)):
        client.send(request)
"""


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess() as running:
        yield running


class Sender:
    """Another process that uses the account.

    :param suspended_at_port: the process suspends itself when it connects to this port.
    """

    def __init__(self, sandbox: SandboxProcess, pacing: str, *, times: int = 1, suspended_at_port: str = "") -> None:
        settings = [sandbox.base_url, sandbox.api_key, pacing, str(times), suspended_at_port]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen([sys.executable, "-c", SENDER, *settings], env=environment)

    def suspend(self) -> None:
        """Suspend the process."""
        self._process.send_signal(signal.SIGSTOP)
        self.wait_until_suspended()

    def wait_until_suspended(self) -> None:
        """Wait until the process is suspended."""
        _, status = os.waitpid(self._process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "it has ended"

    def resume(self) -> None:
        """Resume the process."""
        self._process.send_signal(signal.SIGCONT)

    def result(self) -> int:
        """Wait for the process to end, and return its exit code."""
        return self._process.wait(timeout=60)

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def running(sender: Sender) -> Iterator[Sender]:
    try:
        yield sender
    finally:
        sender.kill()


class RedisProxy:
    """A proxy between one client and Redis that can hold back the reply to a command.

    :param server: the Redis server.
    """

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = server.url.replace(f":{server.port}/", f":{self._listener.getsockname()[1]}/")
        self._held: tuple[bytes, int] = (b"", 0)
        self._is_holding = threading.Event()
        self._released = threading.Event()
        self._forwarded = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def hold_reply(self, command: bytes, occurrence: int) -> None:
        """Hold back the reply to a command.

        :param command: its name.
        :param occurrence: which of its occurrences from now on, from 1.
        """
        self._released.clear()
        self._forwarded.clear()
        self._is_holding.clear()
        self._held = (command, occurrence)

    def wait_until_held(self) -> None:
        """Wait until Redis has replied and the reply is held back."""
        assert self._is_holding.wait(60)

    def release(self) -> None:
        """Forward the reply to the client, so that a process that is resumed finds it before its timeout is over."""
        self._released.set()
        assert self._forwarded.wait(60)

    def close(self) -> None:
        """Accept no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        redis = socket.create_connection(("127.0.0.1", self._server.port))
        with contextlib.suppress(ConnectionError), client, redis:
            while commands := client.recv(65536):
                redis.sendall(commands)
                reply = redis.recv(65536)
                command, occurrence = self._held
                if command and command in commands:
                    self._held = (command, occurrence - 1) if occurrence > 1 else (b"", 0)
                    if occurrence == 1:
                        self._is_holding.set()
                        self._released.wait(60)
                client.sendall(reply)
                if self._released.is_set():
                    self._forwarded.set()


@pytest.fixture
def redis_proxy(redis_server: RedisServer) -> Iterator[RedisProxy]:
    proxy = RedisProxy(redis_server)
    yield proxy
    proxy.close()


def send(sandbox: SandboxProcess, pacing: str) -> None:
    """Send a call from this process, as soon as the rate limit allows."""
    with TrackingMoreClient(
        ClientSettings(api_key=sandbox.api_key, base_url=sandbox.base_url, pacing=pacing)
    ) as client:
        client.send(REQUEST)


@pytest.mark.parametrize("pacing", ["file", "redis"])
def test_a_process_that_is_suspended_while_it_connects_acquires_another_slot(
    sandbox: SandboxProcess, pacing: str, request: pytest.FixtureRequest
) -> None:
    shared = pacing if pacing == "file" else request.getfixturevalue("redis_server").url
    port = sandbox.base_url.split(":")[2].split("/")[0]
    with running(Sender(sandbox, shared, suspended_at_port=port)) as other:
        other.wait_until_suspended()
        send(sandbox, shared)
        other.resume()
        assert other.result() == 0
    assert (sandbox.ledger()["requests"], sandbox.ledger()["rate_limited"]) == (2, 0)


@pytest.mark.parametrize("earlier_calls", [0, 1], ids=["without a connection", "with an open connection"])
def test_a_process_that_is_suspended_when_it_has_its_slot_acquires_another_one(
    sandbox: SandboxProcess, redis_server: RedisServer, redis_proxy: RedisProxy, earlier_calls: int
) -> None:
    # A call writes to Redis twice: when it acquires its slot, and when the response has arrived.
    redis_proxy.hold_reply(b"EVAL", 1 + 2 * earlier_calls)
    with running(Sender(sandbox, redis_proxy.url, times=1 + earlier_calls)) as other:
        redis_proxy.wait_until_held()
        other.suspend()
        redis_proxy.release()
        send(sandbox, redis_server.url)
        other.resume()
        assert other.result() == 0
    assert (sandbox.ledger()["requests"], sandbox.ledger()["rate_limited"]) == (2 + earlier_calls, 0)


def test_a_process_that_acquired_its_slot_by_an_old_time_acquires_another_one(
    sandbox: SandboxProcess, redis_server: RedisServer, redis_proxy: RedisProxy
) -> None:
    redis_proxy.hold_reply(b"TIME", 1)
    with running(Sender(sandbox, redis_proxy.url)) as other:
        redis_proxy.wait_until_held()
        other.suspend()
        time.sleep(2.6)  # until the slot that begins at the old time has passed
        redis_proxy.hold_reply(b"EVAL", 1)
        redis_proxy.release()
        other.resume()
        redis_proxy.wait_until_held()
        other.suspend()
        redis_proxy.release()
        send(sandbox, redis_server.url)
        other.resume()
        assert other.result() == 0
    assert (sandbox.ledger()["requests"], sandbox.ledger()["rate_limited"]) == (2, 0)


@pytest.fixture
def while_connecting(monkeypatch: pytest.MonkeyPatch, server: FaultServer) -> Iterator[list[Callable[[], object]]]:
    """A list of functions; each of the next lookups of the server's name runs one."""
    planned: list[Callable[[], object]] = []
    resolve = socket.getaddrinfo

    def slow(host: str, port: int, *arguments: int, **options: int) -> object:
        if planned:
            planned.pop(0)()
        return resolve(host, port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    yield planned
    assert not planned


def send_later(client: TrackingMoreClient, fake_time: FakeTime) -> None:
    """Send a call after five seconds, in which every slot of an earlier request has passed."""
    fake_time.sleep(5.0)
    client.send(REQUEST)


def test_a_slow_connection_sends_at_once_if_nobody_else_has_sent(
    server: FaultServer, make_client: MakeClient, fake_time: FakeTime, while_connecting: list[Callable[[], object]]
) -> None:
    client = make_client(server.url)
    while_connecting.append(lambda: fake_time.sleep(3.0))
    client.send(REQUEST)
    assert fake_time.slept == [3.0]
    make_client(server.url).send(REQUEST)
    assert fake_time.slept[1] == pytest.approx(1.0, abs=0.011), "the next slot counts from the time of sending"


def test_a_slow_connection_is_kept_for_the_next_slot_if_others_have_sent(
    server: FaultServer, make_client: MakeClient, fake_time: FakeTime, while_connecting: list[Callable[[], object]]
) -> None:
    client = make_client(server.url)
    while_connecting.append(lambda: send_later(make_client(server.url), fake_time))
    client.send(REQUEST)
    assert fake_time.slept == [5.0, pytest.approx(1.0, abs=0.011)]
    assert (len(server.requests), server.connections) == (2, 2)


def test_a_connection_is_not_kept_through_a_cool_down(
    server: FaultServer, make_client: MakeClient, fake_time: FakeTime, while_connecting: list[Callable[[], object]]
) -> None:
    def others_get_a_429() -> None:
        fake_time.sleep(5.0)
        with pytest.raises(RateLimitError):
            make_client(server.url, max_attempts=1).send(REQUEST)

    client = make_client(server.url)
    while_connecting.append(others_get_a_429)
    server.does(answer(b'{"meta": {"code": 429, "message": "slow down"}}'), answer())
    client.send(REQUEST)
    assert fake_time.slept == [5.0, pytest.approx(120.0, abs=0.011)]
    assert (len(server.requests), server.connections) == (2, 3)
    assert client.statistics.requests == 1, "the request that missed its slot was not sent"


def test_a_late_request_waits_no_longer_than_it_may_and_starts_no_cool_down(
    server: FaultServer, make_client: MakeClient, fake_time: FakeTime, while_connecting: list[Callable[[], object]]
) -> None:
    client = make_client(server.url)
    while_connecting.append(lambda: send_later(make_client(server.url), fake_time))
    with pytest.raises(RateLimitError, match="not sent"):
        client.send(REQUEST, max_wait_seconds=5.5)
    assert len(server.requests) == 1
    client.send(REQUEST)
    assert fake_time.slept == [5.0, pytest.approx(1.0, abs=0.011)]
