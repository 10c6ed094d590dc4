"""An adapter for ``requests`` with a deadline for the whole response, headers included.

The read timeout of ``requests`` starts again with each piece that arrives, so a server that sends one byte per second
blocks its caller forever. Here the same number of seconds limits the whole response, without another thread. The
connection also tells whether a failure occurred before anything was sent, and calls back just before sending.
"""

from __future__ import annotations

import http.client
import io
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError, SSLError
from urllib3.poolmanager import PoolManager

_before_send: ContextVar[Callable[[], None] | None] = ContextVar("before_send", default=None)


@contextmanager
def before_send(callback: Callable[[], None] | None) -> Iterator[None]:
    """Call back when the connection of a request is open and nothing of the request has been sent.

    :param callback: an exception that it raises ends the request. Not called behind a SOCKS proxy.
    """
    token = _before_send.set(callback)
    try:
        yield
    finally:
        _before_send.reset(token)


class HandshakeError(SSLError):
    """The TLS handshake failed for a reason that a retry does not change: nothing was sent."""


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until a deadline, which successful reads do not extend."""

    def __init__(self, raw: io.RawIOBase, sock: Any, seconds: float) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(remaining)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        seconds = sock.gettimeout()
        if seconds is not None:
            buffered: Any = self.fp
            self.fp = io.BufferedReader(_DeadlineReader(buffered.detach(), sock, seconds))


class _DeadlineHTTPConnection(HTTPConnection):
    response_class = _DeadlineResponse

    def request(self, *args: Any, **options: Any) -> None:
        if self.is_closed:
            self.connect()
        if callback := _before_send.get():
            callback()
        super().request(*args, **options)


class _DeadlineHTTPSConnection(_DeadlineHTTPConnection, HTTPSConnection):
    def connect(self) -> None:
        # urllib3 raises the same exceptions for failures of the handshake and for failures after the request was sent.
        try:
            super().connect()
        except (TimeoutError, ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise NewConnectionError(self, f"TLS handshake: {type(error).__name__}") from error
        except (ssl.SSLError, SSLError, ValueError) as error:
            raise HandshakeError(error) from error


class _DeadlineHTTPPool(HTTPConnectionPool):
    ConnectionCls = _DeadlineHTTPConnection


class _DeadlineHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _DeadlineHTTPSConnection


_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _DeadlineHTTPPool, "https": _DeadlineHTTPSPool}


class ResponseDeadlineAdapter(HTTPAdapter):
    """An adapter whose read timeout is the deadline for the whole response."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool manager."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> PoolManager:
        """Return the pool manager of a proxy."""
        manager: PoolManager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if not proxy.lower().startswith("socks"):  # SOCKS has its own connection classes
            manager.pool_classes_by_scheme = _POOLS
        return manager
