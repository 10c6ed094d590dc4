"""The application at ``/trackingmore``: the page below ``/page``, and the webhook route for everything else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_trackingmore.plugins.deferred_waits import DeferredWaits
from airflow_provider_trackingmore.plugins.webhook_route import Receive, Scope, Send, WebhookRoute

if TYPE_CHECKING:
    from starlette.types import ASGIApp

log = logging.getLogger(__name__)

PAGE_PATH = "/page"


class PluginApp:
    """Passes each request to the page or to the webhook route.

    The webhook route also gets unknown paths, because it hides the path from the access log: a mistyped URL may contain
    the secret. The page is only built when somebody opens it. If that fails, it answers 503, and webhooks still work.
    """

    def __init__(self) -> None:
        self._waits = DeferredWaits()
        self._webhooks = WebhookRoute(self._waits)
        self._page: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        path = str(scope["path"]).removeprefix(str(scope.get("root_path") or ""))
        if path != PAGE_PATH and not path.startswith(f"{PAGE_PATH}/"):
            await self._webhooks(scope, receive, send)
            return
        if self._page is None:
            self._page = _build_page(self._waits)
        await self._page(scope, receive, send)


def _build_page(waits: DeferredWaits) -> ASGIApp:
    try:
        from airflow_provider_trackingmore.plugins.page.app import create_page

        return create_page(waits)
    except Exception as error:
        log.exception('The page "Shipments" does not work with this Airflow (%s)', type(error).__name__)
        return _answer_unavailable


async def _answer_unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    body = b'{"detail":{"message":"The page cannot be shown.","hint":"The log of the API server says why."}}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
