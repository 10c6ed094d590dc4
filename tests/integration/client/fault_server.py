"""A raw TCP server that misbehaves on request. It handles HTTP as plain bytes."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable


class Exchange:
    """One connection as the server sees it."""

    def __init__(self, server: FaultServer, connection: socket.socket) -> None:
        self.server = server
        self.connection = connection

    def read_request(self) -> bytes | None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.connection.recv(65536)
            if not piece:
                return None
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += self.connection.recv(65536)
        self.server.arrivals.append(time.monotonic())
        self.server.requests.append(head + b"\r\n\r\n" + body)
        return self.server.requests[-1]

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def drip(self, data: bytes, *, seconds: float) -> None:
        for position in range(len(data)):
            self.send(data[position : position + 1])
            if self.server.stopping.wait(seconds):
                return

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class Replay(Exchange):
    """An exchange whose request has been read already."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange.server, exchange.connection)
        self.request = exchange.read_request()

    def read_request(self) -> bytes | None:
        return self.request


Behaviour = Callable[[Exchange], bool | None]
"""Handles one request; if it returns True, the connection stays open for the next one."""


class FaultServer:
    """Listens on loopback. Each request gets the next behaviour; the last one is repeated."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.behaviours: deque[Behaviour] = deque([answer()])
        self.requests: list[bytes] = []
        self.arrivals: list[float] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._context = context
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}/v2"
        self._start(self._accept)

    def does(self, *behaviours: Behaviour) -> None:
        self.behaviours = deque(behaviours)

    def threads_of_connections(self) -> list[threading.Thread]:
        return self._threads[1:]

    def close(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(timeout=5)
            assert not thread.is_alive()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            exchange = Exchange(self, connection)
            while True:
                behaviour = self.behaviours[0] if len(self.behaviours) == 1 else None
                if behaviour is None:
                    behaviour = self._next_behaviour(exchange)
                if not behaviour or not behaviour(exchange):
                    break
        with contextlib.suppress(OSError):
            connection.close()

    def _next_behaviour(self, exchange: Exchange) -> Behaviour | None:
        """Wait for a request before taking a behaviour, since idle connections must not use one up."""
        exchange.connection.settimeout(None)
        if isinstance(exchange.connection, ssl.SSLSocket) or exchange.connection.recv(1, socket.MSG_PEEK):
            return self.behaviours.popleft() if len(self.behaviours) > 1 else self.behaviours[0]
        return None


def envelope(code: int = 200, message: str = "Success", data: object = None) -> bytes:
    return json.dumps({"meta": {"code": code, "type": "T", "message": message}, "data": data}).encode()


def answer(
    body: bytes | None = None,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    content_type: str = "application/json",
    length: int | None = None,
    keep: bool = True,
) -> Behaviour:
    """Send a correct response, except for the given parts; ``length`` is the value of Content-Length."""
    body = envelope(data={"fine": True}) if body is None else body
    fields = {"Content-Type": content_type, "Content-Length": str(len(body) if length is None else length)}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**fields, **(headers or {})}.items())

    def behave(exchange: Exchange) -> bool:
        if exchange.read_request() is None:
            return False
        exchange.send(f"HTTP/1.1 {status} Reason\r\n{head}\r\n".encode() + body)
        return keep and length is None

    return behave


def raw(data: bytes) -> Behaviour:
    """Send bytes that need not be HTTP, and close the connection."""

    def behave(exchange: Exchange) -> None:
        exchange.read_request()
        exchange.send(data)

    return behave
