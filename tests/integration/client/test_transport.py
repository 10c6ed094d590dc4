"""Requests as they are sent, and how: headers, proxies, certificates, connections."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import sys
import threading
import warnings
from pathlib import Path

import pytest

from airflow_provider_trackingmore import __version__
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import ConnectError, TransportError
from airflow_provider_trackingmore.client import transport
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.client.transport import Transport
from tests.integration.client.conftest import KEY
from tests.integration.client.fault_server import Exchange, FaultServer, answer, raw

POST: Request[object] = Request(
    method="POST",
    path="/trackings/a%2Fb/%C3%A9",
    query={"numbers": "a,b", "title": "ä &"},
    body={"title": "ä"},
    headers={"X-Own": "yes"},
    parse=lambda data: data,
)
GET: Request[object] = Request(method="GET", path="/carriers", parse=lambda data: data)


def connect(server: FaultServer | str, **settings: object) -> Transport:
    base_url = server if isinstance(server, str) else server.url
    values = {"api_key": KEY, "base_url": base_url, "timeout_seconds": 5, **settings}
    return Transport(ClientSettings(**values))  # type: ignore[arg-type]


def lines(request: bytes) -> list[str]:
    return request.decode().split("\r\n")


def test_a_request_is_sent_exactly_as_specified(server: FaultServer) -> None:
    with connect(server) as to:
        got = to.exchange(POST)
    assert (got.status, got.headers["Content-Type"]) == (200, "application/json")
    first, *rest = lines(server.requests[0])
    assert first == "POST /v2/trackings/a%2Fb/%C3%A9?numbers=a,b&title=%C3%A4+%26 HTTP/1.1"
    assert rest[-1] == '{"title":"\\u00e4"}'
    assert "Content-Type: application/json" in rest
    assert f"Trackingmore-Api-Key: {KEY}" in rest
    assert "X-Own: yes" in rest


def test_a_request_without_a_body_sends_none(server: FaultServer) -> None:
    with connect(server) as to:
        to.exchange(GET)
    head = lines(server.requests[0])
    assert head[-1] == ""
    assert not any(line.startswith(("Content-Length: 2", "Transfer-Encoding")) for line in head)


def test_the_user_agent_names_the_package_airflow_and_python(server: FaultServer) -> None:
    with connect(server) as to:
        to.exchange(GET)
    with connect(server, user_agent="order-closing/1.0 (ops)") as to:
        to.exchange(GET)
    agents = [line for request in server.requests for line in lines(request) if line.startswith("User-Agent: ")]
    python = ".".join(map(str, sys.version_info[:3]))
    assert agents[0].startswith(f"User-Agent: airflow-provider-trackingmore/{__version__} (apache-airflow/")
    assert agents[0].endswith(f"; python/{python})")
    assert "unknown" not in agents[0]
    assert agents[1] == "User-Agent: order-closing/1.0 (ops)"


def test_netrc_adds_no_credentials(server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password pa55\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with connect(server) as to:
        to.exchange(GET)
    assert b"uthorization" not in server.requests[0]


def test_cookies_of_the_server_are_not_kept(server: FaultServer) -> None:
    server.does(answer(headers={"Set-Cookie": "session=1"}))
    with connect(server) as to:
        to.exchange(GET)
        to.exchange(GET)
    assert b"ookie" not in server.requests[1]


@pytest.mark.parametrize("by", ["setting", "environment"])
def test_a_proxy_is_used(by: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = f"http://127.0.0.1:{server.port}"
    if by == "environment":
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("http_proxy", proxy)
    proxies = {"http": proxy} if by == "setting" else {}
    with connect("http://tracking.invalid/v2", proxies=proxies) as to:
        assert to.exchange(GET).status == 200
    assert lines(server.requests[0])[0] == "GET http://tracking.invalid/v2/carriers HTTP/1.1"


def test_a_request_is_not_sent_if_the_proxy_refuses_it(server: FaultServer) -> None:
    server.does(raw(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"))
    proxies = {"https": f"http://someone:pa55@127.0.0.1:{server.port}"}
    with (
        connect("https://tracking.invalid/v2", proxies=proxies) as to,
        pytest.raises(ConnectError, match=r"proxy .*407") as caught,
    ):
        to.exchange(GET)
    assert "pa55" not in str(caught.value)
    assert KEY.encode() not in server.requests[0]


def test_a_proxy_of_an_unknown_kind_is_named_as_the_cause() -> None:
    with (
        connect("http://tracking.invalid/v2", proxies={"http": "gopher://127.0.0.1:1"}) as to,
        pytest.raises(TransportError, match="check base URL, proxies") as caught,
    ):
        to.exchange(GET)
    assert type(caught.value) is TransportError


def test_disabled_verification_is_logged_once(tls_server: FaultServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with connect(tls_server, verify=False) as to:
            assert to.exchange(GET).status == 200
            assert to.exchange(GET).status == 200
    assert [str(warning.message) for warning in caught] == []
    (warning,) = caplog.records
    assert "are not verified" in warning.getMessage()


def test_the_environment_does_not_enable_disabled_verification(
    tls_server: FaultServer, self_signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.devnull)
    with connect(tls_server, verify=False) as to:
        assert to.exchange(GET).status == 200
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(self_signed))
    with connect(tls_server) as to:
        assert to.exchange(GET).status == 200


def test_a_missing_ca_bundle_is_an_error_of_this_package(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    with connect("https://127.0.0.1:1/v2", verify=str(bundle)) as to:
        bundle.unlink()
        with pytest.raises(TransportError, match=r"ca\.pem.*check base URL, proxies and 'verify'"):
            to.exchange(GET)


def test_one_connection_serves_many_requests_and_is_known_to_be_warm(server: FaultServer) -> None:
    with connect(server) as to:
        assert not to.warm
        for _ in range(3):
            to.exchange(GET)
            assert to.warm
    assert not to.warm
    assert (server.connections, len(server.requests)) == (1, 3)


def test_a_connection_that_has_been_idle_for_long_is_not_reused(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(server) as to:
        to.exchange(GET)
        monkeypatch.setattr(transport, "MAX_IDLE_SECONDS", 0)
        assert not to.warm
        to.exchange(GET)
    assert server.connections == 2


def test_a_connection_is_not_used_after_a_fork(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(server) as to:
        to.exchange(GET)
        parent = os.getpid()
        with monkeypatch.context() as child:
            child.setattr(os, "getpid", lambda: parent + 1)
            assert not to.warm
            to.exchange(GET)
    assert server.connections == 2


def test_a_connection_that_the_server_has_closed_is_replaced(server: FaultServer) -> None:
    server.does(answer(keep=False), answer())
    with connect(server) as to:
        to.exchange(GET)
        for thread in server.threads_of_connections():
            thread.join(5)
        assert to.exchange(GET).status == 200
    assert server.connections == 2


def test_threads_do_not_share_a_connection(server: FaultServer) -> None:
    together = threading.Barrier(4, timeout=10)

    def answers_four_at_a_time(exchange: Exchange) -> bool | None:
        together.wait()
        return answer()(exchange)

    server.does(answers_four_at_a_time)
    with connect(server) as to, concurrent.futures.ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(lambda _: to.exchange(GET).status, range(4)))
    assert statuses == [200] * 4
    assert server.connections == 4


def test_the_start_of_a_response_is_reported_before_its_end(server: FaultServer) -> None:
    started = threading.Event()

    def waits_between_headers_and_body(exchange: Exchange) -> None:
        exchange.read_request()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        exchange.send(b"{}" if started.wait(10) else b"")

    server.does(waits_between_headers_and_body)
    with connect(server) as to:
        assert to.exchange(GET, on_response=started.set).body == b"{}"


def test_a_failure_is_reported_without_its_start(server: FaultServer) -> None:
    server.does(lambda exchange: exchange.reset())
    started = threading.Event()
    with connect(server) as to, pytest.raises(TransportError):
        to.exchange(GET, on_response=started.set)
    assert not started.is_set()


def test_an_interrupted_exchange_closes_its_connection(server: FaultServer) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt() -> None:
        raise Interrupted

    with connect(server) as to:
        with pytest.raises(Interrupted):
            to.exchange(GET, on_response=interrupt)
        assert not to.warm
