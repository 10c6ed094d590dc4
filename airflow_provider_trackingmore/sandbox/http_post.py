"""Posts JSON over a new connection. The standard library's client would block the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 10.0
_MAX_RESPONSE = 65_536
_MAX_SHOWN = 200


async def post(url: str, body: str) -> tuple[int | None, str]:
    """Post a body.

    :param url: ``http`` or ``https``.
    :param body: JSON in ASCII.
    :return: the HTTP status, None if there was no response within ten seconds; and the beginning of the response.
    """
    with contextlib.suppress(OSError, TimeoutError, ValueError, IndexError):
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = (
            f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        context = ssl.create_default_context() if parts.scheme == "https" else None
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (443 if context else 80), ssl=context
            )
            try:
                writer.write((head + body).encode())
                received = b""
                while len(received) < _MAX_RESPONSE and (chunk := await reader.read(_MAX_RESPONSE)):
                    received += chunk
            finally:
                writer.close()
            header, _, content = received.partition(b"\r\n\r\n")
            return int(header.split()[1]), content.decode(errors="replace")[:_MAX_SHOWN]
    return None, ""
