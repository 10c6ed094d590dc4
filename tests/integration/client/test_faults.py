"""Every way in which an exchange can fail, over a real socket: its error, its retries, and no leak of the key."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_trackingmore.api.envelope import Repeat, Request
from airflow_provider_trackingmore.api.errors import (
    ApiError,
    AuthenticationError,
    ConnectError,
    InvalidRequestError,
    MalformedResponseError,
    RateLimitError,
    ResponseLostError,
    ResponseTooLargeError,
    Retry,
    ServerError,
    ServiceUnavailableError,
    TLSError,
    TrackingMoreError,
    TransportError,
)
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from tests.integration.client.conftest import KEY, FakeTime
from tests.integration.client.fault_server import Behaviour, Exchange, FaultServer, answer, envelope, raw

MakeClient = Callable[..., TrackingMoreClient]
Check = Callable[[BaseException], None]

HTML = b"<html><body>Bad Gateway " + KEY.encode() + b"</body></html>"


def call(repeat: Repeat = Repeat.ALWAYS) -> Request[object]:
    return Request(
        method="POST",
        path="/trackings/realtime",
        query={"customer_email": "someone@example.com"},
        body={"tracking_number": "PG1"},
        parse=lambda data: data,
        repeat=repeat,
    )


def says_nothing(exchange: Exchange) -> None:
    exchange.read_request()
    exchange.server.stopping.wait(20)


def drips_its_headers(exchange: Exchange) -> None:
    exchange.read_request()
    exchange.drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 1000, seconds=0.05)


def drips_its_body(exchange: Exchange) -> None:
    exchange.read_request()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    exchange.drip(b" " * 1000, seconds=0.05)


def resets_before_reading(exchange: Exchange) -> None:
    exchange.connection.recv(1, socket.MSG_PEEK)  # there is a request, and it stays unread
    exchange.reset()


def resets_after_reading(exchange: Exchange) -> None:
    exchange.read_request()
    exchange.reset()


def resets_within_the_response(exchange: Exchange) -> None:
    exchange.read_request()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    exchange.reset()


def hangs_up_after_reading(exchange: Exchange) -> None:
    exchange.read_request()


FAULTS: dict[str, tuple[Behaviour, type[TrackingMoreError]]] = {
    "an HTML page with 200": (answer(HTML, content_type="text/html"), MalformedResponseError),
    "an HTML page with 502": (answer(HTML, status=502, content_type="text/html"), ServerError),
    "HTTP 500": (answer(envelope(500, KEY), status=500), ServerError),
    "HTTP 503": (answer(b"", status=503), ServiceUnavailableError),
    "503 in HTTP 200": (answer(envelope(503)), ServiceUnavailableError),
    "a response shorter than announced": (answer(envelope()[:30], length=5000), MalformedResponseError),
    "JSON that is cut off": (answer(envelope(message=KEY)[:-9]), MalformedResponseError),
    "an empty body": (answer(b""), MalformedResponseError),
    "JSON that is not an envelope": (answer(b"[1, 2]"), MalformedResponseError),
    "a wrong content type with the key in it": (
        answer(b"?", content_type=f"application/{KEY}"),
        MalformedResponseError,
    ),
    "broken chunks": (
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnothex\r\n"),
        MalformedResponseError,
    ),
    "chunks without an end": (
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        MalformedResponseError,
    ),
    "broken compression": (
        answer(gzip.compress(envelope())[:12] + b"xxxxxxxx", headers={"Content-Encoding": "gzip"}),
        MalformedResponseError,
    ),
    "something that is not HTTP": (raw(b"220 mail.example ESMTP\r\n"), MalformedResponseError),
    "no response in time": (says_nothing, ResponseLostError),
    "headers byte by byte": (drips_its_headers, ResponseLostError),
    "a body byte by byte": (drips_its_body, ResponseLostError),
    "a reset before the request is read": (resets_before_reading, ResponseLostError),
    "a reset after the request is read": (resets_after_reading, ResponseLostError),
    "a reset within the response": (resets_within_the_response, ResponseLostError),
    "a hang-up instead of a response": (hangs_up_after_reading, ResponseLostError),
    "a proxy's 407": (answer(HTML, status=407, content_type="text/html"), ConnectError),
    "a proxy's 408": (answer(HTML, status=408, content_type="text/html"), ServerError),
    "a proxy's 425": (answer(HTML, status=425, content_type="text/html"), ServiceUnavailableError),
    "a refusal in HTTP 200": (answer(envelope(4012, f"bad {KEY}")), InvalidRequestError),
    "429 in HTTP 200": (answer(envelope(429)), RateLimitError),
    "HTTP 429": (answer(b"", status=429, headers={"Retry-After": "7"}), RateLimitError),
    "a redirect to another host": (
        answer(b"", status=302, headers={"Location": f"http://elsewhere.example/v2/x?key={KEY}"}),
        TransportError,
    ),
}


def expected_requests(kind: type[TrackingMoreError], repeat: Repeat) -> int:
    repeated = {Retry.ALWAYS: True, Retry.IF_REPEATABLE: repeat is Repeat.ALWAYS, Retry.NEVER: False}
    return 3 if repeated[kind.retry] else 1


@pytest.mark.parametrize("repeat", Repeat)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("how", ["send", "send_async"])
def test_each_fault_has_its_error_and_is_retried_only_if_that_is_safe(
    fault: str, repeat: Repeat, how: str, server: FaultServer, make_client: MakeClient, assert_no_key: Check
) -> None:
    behaviour, kind = FAULTS[fault]
    server.does(behaviour)
    client = make_client(server.url, timeout_seconds=0.3 if kind is ResponseLostError else 5)
    ways = {"send": client.send, "send_async": lambda request: asyncio.run(client.send_async(request))}
    with pytest.raises(TrackingMoreError) as caught:
        ways[how](call(repeat))
    error = caught.value
    assert type(error) is kind
    assert error.retry is kind.retry
    assert "POST /trackings/realtime" in str(error)
    expected = expected_requests(kind, repeat)
    assert client.statistics.requests == expected
    assert client.statistics.retries == expected - 1
    if behaviour is resets_before_reading:
        assert (server.connections, server.requests) == (expected, [])
    else:
        assert len(server.requests) == expected
    assert all(KEY.encode() in request for request in server.requests)
    assert "someone@example.com" not in str(error)
    assert_no_key(error)


@pytest.mark.parametrize("repeat", Repeat)
def test_a_refused_connection_is_always_retried(repeat: Repeat, make_client: MakeClient, assert_no_key: Check) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = make_client(f"http://127.0.0.1:{port}/v2")
    with pytest.raises(ConnectError, match="Connection refused") as caught:
        client.send(call(repeat))
    assert client.statistics.requests == 3
    assert_no_key(caught.value)


def test_an_unknown_host_is_always_retried(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, assert_no_key: Check
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    client = make_client("http://nowhere.invalid/v2")
    with pytest.raises(ConnectError, match=r"nowhere\.invalid .*Name or service not known") as caught:
        client.send(call(Repeat.UNLESS_SENT))
    assert client.statistics.requests == 3
    assert_no_key(caught.value)


def test_an_untrusted_certificate_ends_the_call_at_once(
    tls_server: FaultServer, make_client: MakeClient, assert_no_key: Check
) -> None:
    client = make_client(tls_server.url)
    with pytest.raises(TLSError, match=r"self.signed certificate.*'verify'") as caught:
        client.send(call())
    assert caught.value.retry is Retry.NEVER
    assert (tls_server.connections, tls_server.requests) == (1, [])
    assert_no_key(caught.value)


def test_a_certificate_is_trusted_with_its_ca_bundle(
    tls_server: FaultServer, self_signed: Path, make_client: MakeClient
) -> None:
    assert make_client(tls_server.url, verify=str(self_signed)).send(call()) == {"fine": True}


def test_tls_against_a_plain_server_is_a_tls_error(server: FaultServer, make_client: MakeClient) -> None:
    server.does(lambda exchange: exchange.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with pytest.raises(TLSError):
        make_client(server.url.replace("http:", "https:"), timeout_seconds=1).send(call())


@pytest.mark.parametrize("behaviour", [resets_before_reading, says_nothing], ids=["reset", "silent"])
def test_an_interrupted_handshake_is_always_retried(
    behaviour: Behaviour, server: FaultServer, make_client: MakeClient, assert_no_key: Check
) -> None:
    server.does(behaviour)
    client = make_client(server.url.replace("http:", "https:"), timeout_seconds=0.3)
    with pytest.raises(ConnectError) as caught:
        client.send(call(Repeat.UNLESS_SENT))
    assert client.statistics.requests == 3
    assert_no_key(caught.value)


def test_an_endless_response_is_abandoned(server: FaultServer, make_client: MakeClient) -> None:
    server.does(answer(b" " * (9 << 20)))
    with pytest.raises(ResponseTooLargeError, match="larger than 8 MB"):
        make_client(server.url).send(call())
    assert len(server.requests) == 1


def test_a_redirect_is_named_and_not_followed(server: FaultServer, make_client: MakeClient) -> None:
    other = FaultServer()
    try:
        server.does(answer(b"", status=307, headers={"Location": f"{other.url}/trackings/realtime?a=b"}))
        with pytest.raises(TransportError, match=r"a redirect to 127\.0\.0\.1\. ") as caught:
            make_client(server.url).send(call())
        assert other.connections == 0
        assert "a=b" not in str(caught.value)
        assert caught.value.http_status == 307
    finally:
        other.close()


@pytest.mark.parametrize("fault", [name for name, (_, kind) in FAULTS.items() if kind.retry is not Retry.NEVER])
def test_a_retry_succeeds_after_a_temporary_fault(
    fault: str, server: FaultServer, make_client: MakeClient, fake_time: FakeTime
) -> None:
    behaviour, kind = FAULTS[fault]
    server.does(behaviour, answer())
    client = make_client(server.url, timeout_seconds=0.3 if kind is ResponseLostError else 5)
    assert client.send(call()) == {"fine": True}
    assert client.statistics.requests == 2
    assert sum(fake_time.slept) >= (120 if kind is RateLimitError else 1)


REFUSALS: dict[int, type[TrackingMoreError]] = {
    400: ApiError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: InvalidRequestError,
    407: ConnectError,
    408: ServerError,
    425: ServiceUnavailableError,
    429: RateLimitError,
    451: ApiError,
    500: ServerError,
    502: ServerError,
    503: ServiceUnavailableError,
}
BODIES = {"HTML": b"<html>Forbidden</html>", "nothing": b"", "JSON of others": b'{"message": "Forbidden"}'}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_without_the_vendors_envelope_is_attributed_to_a_proxy(
    status: int, body: str, server: FaultServer, make_client: MakeClient
) -> None:
    server.does(answer(BODIES[body], status=status, content_type="text/html"))
    with pytest.raises(TrackingMoreError) as caught:
        make_client(server.url, max_attempts=1).send(call())
    error = caught.value
    assert type(error) is REFUSALS[status]
    assert error.from_api is False
    assert error.http_status == status
    assert f"HTTP {status} with" in error.message
    assert "did not come from TrackingMore's API" in error.message
    assert "check the base URL" in str(error)
    assert "proxy" in str(error)
    assert "API key" not in str(error)


@pytest.mark.parametrize("status", [200, 401, 403, 404, 429, 500])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (401, AuthenticationError),
        (4001, AuthenticationError),
        (4012, InvalidRequestError),
        (429, RateLimitError),
        (9999, ApiError),
    ],
)
def test_a_refusal_in_the_vendors_envelope_is_from_the_api(
    code: int, kind: type[TrackingMoreError], status: int, server: FaultServer, make_client: MakeClient
) -> None:
    server.does(answer(envelope(code), status=status))
    with pytest.raises(TrackingMoreError) as caught:
        make_client(server.url, max_attempts=1).send(call())
    assert (type(caught.value), caught.value.from_api, caught.value.code) == (kind, True, code)
    assert "did not come from" not in caught.value.message


@pytest.mark.parametrize("behaviour", [says_nothing, resets_after_reading, answer(HTML), answer(b"", status=302)])
def test_other_failures_are_not_from_the_api(
    behaviour: Behaviour, server: FaultServer, make_client: MakeClient
) -> None:
    server.does(behaviour)
    with pytest.raises(TrackingMoreError) as caught:
        make_client(server.url, max_attempts=1, timeout_seconds=0.3).send(call())
    assert caught.value.from_api is False


@pytest.mark.parametrize("repeat", Repeat)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_is_retried_if_a_proxy_requires_a_password(
    scheme: str, repeat: Repeat, server: FaultServer, make_client: MakeClient
) -> None:
    server.does(answer(HTML, status=407, headers={"Proxy-Authenticate": "Basic"}))
    proxy = f"http://127.0.0.1:{server.port}"
    client = make_client(f"{scheme}://api.trackingmore.example/v2", proxies={scheme: proxy})
    with pytest.raises(ConnectError, match="proxy") as caught:
        client.send(call(repeat))
    assert client.statistics.requests == 3
    assert caught.value.from_api is False
    assert all(b"api.trackingmore.example" in request.partition(b"\r\n")[0] for request in server.requests)
