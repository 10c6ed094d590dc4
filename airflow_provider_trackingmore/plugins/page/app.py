"""The FastAPI application of the page: static files with a strict security policy, and JSON. It is read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, FastAPI, Header, Response

from airflow_provider_trackingmore.plugins.page.access import may_see_page
from airflow_provider_trackingmore.plugins.page.errors import PageError, PageRoute, add_error_handlers
from airflow_provider_trackingmore.plugins.page.routes import PageRoutes
from airflow_provider_trackingmore.plugins.page.static_files import static_files

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from airflow_provider_trackingmore.plugins.deferred_waits import DeferredWaits

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class SecurityHeaders:
    """Adds the security headers to every response, including errors.

    :param app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                cache = [] if b"cache-control" in names else [(b"cache-control", b"no-store")]
                message["headers"] = [*message["headers"], *HEADERS, *cache]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def create_page(waits: DeferredWaits) -> ASGIApp:
    """Build the application. Its paths begin with ``/page``.

    :param waits: the index of the deferred waits.
    :return: the application.
    """
    app = FastAPI(
        title="TrackingMore: shipments",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[may_see_page],
    )
    app.router.route_class = PageRoute
    add_error_handlers(app)
    pages = APIRouter(prefix="/page", route_class=PageRoute)
    pages.add_api_route("/", read_index, methods=["GET", "HEAD"])
    pages.add_api_route("/{name}", read_file, methods=["GET", "HEAD"])
    app.include_router(PageRoutes(waits).router())
    app.include_router(pages)
    return SecurityHeaders(app)


async def read_index(if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """``GET /page/``: the page itself."""
    return await read_file("index.html", if_none_match)


async def read_file(name: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """``GET /page/{name}``: a static file.

    :param name: its name.
    :param if_none_match: the ETag of the browser's copy.
    :return: the file, or 304 if the browser has it.
    """
    file = static_files().get(name)
    if file is None:
        raise PageError(404, "There is no such file.")
    headers = {"etag": file.etag, "cache-control": "private, no-cache"}
    if if_none_match is not None and file.etag in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
