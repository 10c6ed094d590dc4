"""The key is sent only to the host of the connection, and only if its certificate is valid."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from airflow_provider_trackingmore.api.errors import TLSError, TrackingMoreError, TransportError
from airflow_provider_trackingmore.api.interruptions import cause_of
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from tests.integration.client.conftest import KEY, self_signed, server, tls_server
from tests.integration.client.fault_server import FaultServer, answer, envelope
from tests.integration.faults.operations import OPERATIONS

__all__ = ["self_signed", "server", "tls_server"]


@pytest.fixture
def elsewhere() -> Iterator[FaultServer]:
    running = FaultServer()
    yield running
    running.close()


def connect(monkeypatch: pytest.MonkeyPatch, server: FaultServer, **extra: object) -> TrackingMoreHook:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    settings = {"pacing": "memory", "requests_per_second": 1_000, "max_attempts": 2, **extra}
    connection = {"conn_type": "trackingmore", "host": server.url, "password": KEY, "extra": settings}
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))
    return TrackingMoreHook()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_method_follows_a_redirect_with_the_key(
    monkeypatch: pytest.MonkeyPatch, server: FaultServer, elsewhere: FaultServer, name: str, status: int
) -> None:
    server.does(answer(b"", status=status, headers={"Location": f"{elsewhere.url}/carriers"}))
    with connect(monkeypatch, server) as hook:
        if name == "test_connection":
            works, message = hook.test_connection()
            assert not works
        else:
            with pytest.raises(TrackingMoreError) as caught:
                OPERATIONS[name].use(hook)
            assert isinstance(cause_of(caught.value), TransportError)
            message = caught.value.message
    assert "Redirects are not followed" in message
    assert KEY not in message
    assert len(server.requests) == 1
    assert elsewhere.connections == 0


def test_a_certificate_is_verified_by_default(monkeypatch: pytest.MonkeyPatch, tls_server: FaultServer) -> None:
    with connect(monkeypatch, tls_server) as hook, pytest.raises(TLSError):
        hook.list_carriers()
    assert tls_server.requests == []


def test_disabled_verification_is_logged(
    monkeypatch: pytest.MonkeyPatch, tls_server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    tls_server.does(answer(envelope(data=[])))
    with connect(monkeypatch, tls_server, verify=False) as hook:
        assert hook.list_carriers() == []
    assert "are not verified (verify=false)" in caplog.text
