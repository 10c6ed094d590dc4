"""uvicorn, and what the sandbox needs besides: when bytes arrived, connections that can be torn. No endpoint."""

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
from collections.abc import Callable, Iterator
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

_PARENT_CHECK_SECONDS = 0.25


class WatchingSelector(selectors.DefaultSelector):
    """A selector that remembers since when the event loop has had no idle moment.

    Bytes that come while the loop is busy are seen late. All that is known is that they came after the loop's last idle
    moment, and the rate limit must not blame the caller for the rest.
    """

    busy_since = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events.

        :param timeout: seconds; None waits for ever.
        :return: the events.
        """
        events = super().select(0)
        if not events and (timeout is None or timeout > 0):
            events = super().select(timeout)
            self.busy_since = time.monotonic()
        return events


class Connections:
    """The open connections, by the address of the caller."""

    def __init__(self, selector: WatchingSelector) -> None:
        self.selector = selector
        self._open: dict[tuple[str, int], Any] = {}

    def arrival(self, client: tuple[str, int] | None) -> tuple[float, float]:
        """Tell when the newest bytes of a connection came.

        :param client: address of the caller.
        :return: the earliest and the latest instant, as readings of the real monotonic clock.
        """
        protocol = self._open.get(client) if client else None
        stamped: tuple[float, float] | None = getattr(protocol, "arrival", None)
        return stamped or (time.monotonic(), time.monotonic())

    async def tear(self, client: tuple[str, int] | None, reset: bool) -> None:
        """End a connection.

        :param client: address of the caller.
        :param reset: send RST; otherwise what has been written is sent first, then FIN.
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
        await protocol.gone.wait()

    def protocol(self) -> type[asyncio.Protocol]:
        """Make the protocol class.

        :return: uvicorn's own, which registers its connections here.
        """
        connections, opened, selector = self, self._open, self.selector
        base: Any = AutoHTTPProtocol

        class Torn(base):  # type: ignore[misc]
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                self.gone = asyncio.Event()
                self.address = transport.get_extra_info("peername")[:2]
                opened[self.address] = self

            def data_received(self, data: bytes) -> None:
                self.arrival = (selector.busy_since, time.monotonic())
                super().data_received(data)

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                self.gone.set()
                if connections._open.get(self.address) is self:
                    del connections._open[self.address]

        return cast("type[asyncio.Protocol]", Torn)


class _Server(uvicorn.Server):
    """A server that says when it is ready and leaves the signals to :func:`serve`."""

    announce: Callable[[], None]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.announce()


def listen(host: str, port: int) -> socket.socket:
    """Take a port.

    :param host: address to listen at.
    :param port: port; 0 takes a free one.
    :return: the listening socket.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only for sockets that name their protocol
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    listening.listen(1024)
    return listening


def serve(
    build: Callable[[Connections], Any],
    listening: socket.socket,
    announce: Callable[[], None],
    exit_with_parent: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT.

    :param build: makes the ASGI application.
    :param listening: where to listen.
    :param announce: called once requests are answered.
    :param exit_with_parent: end when the process that started this one has ended.
    """
    parent = os.getppid()
    # a hundred thousand shipments are millions of objects that never form cycles: looking through them stalls the loop
    gc.set_threshold(50_000, 50, 1_000)
    selector = WatchingSelector()
    connections = Connections(selector)
    config = uvicorn.Config(
        build(connections),
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
    server.announce = announce

    def stop() -> None:
        server.should_exit = True

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for wanted in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(wanted, stop)
        watch = asyncio.create_task(_watch_parent(parent, stop)) if exit_with_parent else None
        await server.serve([listening])
        if watch:
            watch.cancel()

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(run())


async def _watch_parent(parent: int, stop: Callable[[], None]) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - no event tells of the end of a parent
        await asyncio.sleep(_PARENT_CHECK_SECONDS)
    stop()
