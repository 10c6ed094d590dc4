"""The HTTP server: uvicorn, extended to record arrival times and to close or reset connections on demand."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import selectors
import signal
import socket
import struct
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

_PARENT_CHECK_SECONDS = 0.25


class BusyTrackingSelector(selectors.DefaultSelector):
    """A selector that records when the event loop was last idle.

    Bytes that arrive while the loop is busy are read late. All that is known is that they arrived after the loop was
    last idle, and the rate limit must not blame the caller for that delay.
    """

    busy_since = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events.

        :param timeout: seconds; None means no timeout.
        :return: the events.
        """
        events = super().select(0)
        if not events and (timeout is None or timeout > 0):
            events = super().select(timeout)
            self.busy_since = time.monotonic()
        return events


class OpenConnections:
    """The open connections by the address of the client."""

    def __init__(self, selector: BusyTrackingSelector) -> None:
        self.selector = selector
        self._open: dict[tuple[str, int], Any] = {}

    def arrival(self, client: tuple[str, int] | None) -> tuple[float, float]:
        """Return when the latest bytes of a connection arrived.

        :param client: address of the client.
        :return: the earliest and the latest possible time, as readings of the real monotonic clock.
        """
        protocol = self._open.get(client) if client else None
        arrival: tuple[float, float] | None = getattr(protocol, "arrival", None)
        return arrival or (time.monotonic(), time.monotonic())

    async def end_connection(self, client: tuple[str, int] | None, reset: bool) -> None:
        """Close or reset a connection.

        :param client: address of the client.
        :param reset: whether to reset it (RST); otherwise pending data is sent first, then FIN.
        """
        protocol = self._open.get(client) if client else None
        if protocol is None:
            return
        transport = protocol.transport
        if reset:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        await protocol.closed.wait()

    def protocol(self) -> type[asyncio.Protocol]:
        """Create the protocol class.

        :return: a subclass of uvicorn's protocol that registers its connections here.
        """
        open_protocols, selector = self._open, self.selector
        base: Any = AutoHTTPProtocol

        class TrackedProtocol(base):  # type: ignore[misc]
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                self.closed = asyncio.Event()
                self.address = transport.get_extra_info("peername")[:2]
                open_protocols[self.address] = self

            def data_received(self, data: bytes) -> None:
                self.arrival = (selector.busy_since, time.monotonic())
                super().data_received(data)

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                self.closed.set()
                if open_protocols.get(self.address) is self:
                    del open_protocols[self.address]

        return cast("type[asyncio.Protocol]", TrackedProtocol)


class _Server(uvicorn.Server):
    """A server that calls back when it is ready and leaves signals to :func:`serve`."""

    on_ready: Callable[[], None]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_ready()


def bind(host: str, port: int) -> socket.socket:
    """Create a listening socket.

    :param host: address to listen on.
    :param port: port; 0 picks a free one.
    :return: the socket.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio disables Nagle's algorithm only for sockets that name their protocol
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    sock.listen(1024)
    return sock


def serve(
    create_app: Callable[[OpenConnections], Any],
    sock: socket.socket,
    on_ready: Callable[[], None],
    parent: int | None = None,
    background: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    :param create_app: creates the ASGI application.
    :param sock: the listening socket.
    :param on_ready: called once the server accepts requests.
    :param parent: the id of the parent process, to exit when it does; None to outlive it.
    :param background: runs beside the server until that stops.
    """
    # A hundred thousand shipments are millions of objects without cycles; collecting them would block the loop.
    gc.set_threshold(50_000, 50, 1_000)
    selector = BusyTrackingSelector()
    connections = OpenConnections(selector)
    config = uvicorn.Config(
        create_app(connections),
        http=connections.protocol(),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        backlog=1024,
    )
    server = _Server(config)
    server.on_ready = on_ready

    def stop() -> None:
        server.should_exit = True

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, stop)
        tasks = [asyncio.create_task(background())] if background else []
        if parent is not None:
            tasks.append(asyncio.create_task(_watch_parent(parent, stop)))
        await server.serve([sock])
        for task in tasks:
            task.cancel()

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(run())


async def _watch_parent(parent: int, stop: Callable[[], None]) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - there is no event for the exit of the parent
        await asyncio.sleep(_PARENT_CHECK_SECONDS)
    stop()
