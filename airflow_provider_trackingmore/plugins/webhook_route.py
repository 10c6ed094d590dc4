"""The webhook route: verify each webhook, answer at once, and pass its shipment on as a hint."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping

from airflow_provider_trackingmore.events.webhook_settings import MAX_SECRET_LENGTH
from airflow_provider_trackingmore.events.webhooks import WebhookError, WebhookSignatureError, read_webhook
from airflow_provider_trackingmore.plugins.deferred_waits import DeferredWaits
from airflow_provider_trackingmore.plugins.hints import Hints
from airflow_provider_trackingmore.plugins.webhook_connections import WebhookConnections

log = logging.getLogger(__name__)

Scope = MutableMapping[str, object]
Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY_BYTES = 1_000_000
BODY_SECONDS = 10.0
"""How long the client may take to send the body."""
LOGGED_PATH = "/trackingmore/webhooks/hidden"
"""The path that the access log shows for every request to this application."""
_PATH = re.compile(rf"/webhooks/(?P<conn_id>[A-Za-z0-9_.-]{{1,250}})/(?P<secret>[^/]{{1,{MAX_SECRET_LENGTH}}})/?")


class WebhookRoute:
    """The ASGI application for ``POST /webhooks/<connection id>/<secret>``.

    It answers 200 to every webhook with a valid signature, even if it is stale or names an unknown shipment, because
    TrackingMore would send it again otherwise. An invalid signature gets 401, an unknown form 400, a body that is too
    large 413, and one that is too slow 408. While the key of the signature is unknown, the answer is 503. Everything
    else gets 404, so that nobody without the secret can find out which connections accept webhooks.

    :param waits: the index of the deferred waits; None for a new one.
    """

    def __init__(self, waits: DeferredWaits | None = None) -> None:
        self._connections = WebhookConnections()
        self._hints = Hints(waits or DeferredWaits())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        path = str(scope["path"])
        root = str(scope.get("root_path") or "")
        # Airflow logs the path when the response starts or ends, so the secret must be gone by then.
        scope["path"], scope["raw_path"], scope["query_string"] = LOGGED_PATH, LOGGED_PATH.encode(), b""
        if scope["type"] != "http":
            return
        status, add_hint = await self._handle(str(scope["method"]), path.removeprefix(root), receive)
        text = b"200" if status == 200 else b""  # as in the vendor's own example
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
        if status != 200:
            headers.append((b"connection", b"close"))  # the server then leaves the rest of a large body unread
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})
        if add_hint is not None:
            add_hint()

    async def _handle(self, method: str, path: str, receive: Receive) -> tuple[int, Callable[[], None] | None]:
        """Return the HTTP status of the answer, and what to call after it was sent."""
        found = _PATH.fullmatch(path)
        if found is None or method != "POST":
            return 404, None
        conn_id = found["conn_id"]
        settings = await self._connections.get(conn_id)
        if settings is None or not hmac.compare_digest(_encode(settings.secret), _encode(found["secret"])):
            return 404, None
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read_body(receive)
        except TimeoutError:
            return 408, None
        if body is None:
            return 413, None
        email = await self._connections.email(conn_id, settings)
        if email is None:
            return 503, None
        try:
            webhook = await asyncio.to_thread(
                read_webhook,
                body,
                account_email=email,
                now=time.time(),
                tolerance_seconds=settings.tolerance_seconds,
            )
        except WebhookError as error:
            status = 401 if isinstance(error, WebhookSignatureError) else 400
            # Log only the hint: the error may quote the body.
            log.warning("Webhook of connection %s refused with %d: %s", conn_id, status, error.hint_text)
            return status, None
        return 200, lambda: self._hints.add(
            conn_id,
            webhook.key,
            stale=webhook.stale,
            hints_per_minute=settings.hints_per_minute,
            client_settings=self._connections.client_settings(conn_id),
        )


async def _read_body(receive: Receive) -> bytes | None:
    """Read the body, up to the limit; None if it is longer, or if the client has disconnected."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":  # the client has disconnected
            return None
        chunk = message.get("body") or b""
        if not isinstance(chunk, bytes) or len(body) + len(chunk) > MAX_BODY_BYTES:
            return None
        body += chunk
        if not message.get("more_body"):
            return bytes(body)


def _encode(secret: str) -> bytes:
    return secret.encode(errors="surrogatepass")
