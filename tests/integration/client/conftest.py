"""Fixtures for tests over a real socket: a misbehaving server, and a clock on which waiting takes no time."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import logging
import ssl
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.settings import ClientSettings
from tests.integration.client.fault_server import FaultServer

KEY = "5ecret0f-7e57-4bad-cafe-0123456789ab"


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use neither proxies nor CA bundles nor slot clocks of the machine that runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("TRACKINGMORE_PACING_DIR", str(tmp_path / "pacing"))


@pytest.fixture
def server() -> Iterator[FaultServer]:
    running = FaultServer()
    yield running
    running.close()


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def make_client(fake_time: FakeTime) -> Iterator[Callable[..., TrackingMoreClient]]:
    """Make clients whose waits take no time; they are closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(base_url: str, **settings: object) -> TrackingMoreClient:
            values = {"api_key": KEY, "base_url": base_url, "max_attempts": 3, "timeout_seconds": 5, **settings}
            made = TrackingMoreClient(
                ClientSettings(**values),  # type: ignore[arg-type]
                clock=fake_time,
                sleep=fake_time.sleep,
                async_sleep=fake_time.async_sleep,
            )
            return stack.enter_context(made)

        yield make


@pytest.fixture
def assert_no_key(caplog: pytest.LogCaptureFixture) -> Callable[[BaseException], None]:
    """Search for the key in everything that an error and the log show, including the local variables of all frames."""
    caplog.set_level(logging.DEBUG)

    def check(error: BaseException) -> None:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        for text in (str(error), repr(error), shown, caplog.text):
            assert KEY not in text

    return check


@pytest.fixture(scope="session")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrusted certificate for 127.0.0.1, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "loopback.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_server(self_signed: Path) -> Iterator[FaultServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed)
    running = FaultServer(context)
    yield running
    running.close()
