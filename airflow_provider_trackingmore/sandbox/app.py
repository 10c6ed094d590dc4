"""Assembles the ASGI application: the v2 endpoints, the control API, and the gateway in front of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from .control_api import create_control_router
from .gateway import Gateway
from .routes import KEY_SCHEME, add_endpoints
from .state import SandboxState

if TYPE_CHECKING:
    from .server import OpenConnections


def create_app(state: SandboxState, connections: OpenConnections) -> Gateway:
    """Create the ASGI application.

    :param state: the state of the sandbox.
    :param connections: the open connections of the server.
    :return: the application.
    """
    app = FastAPI(
        title="TrackingMore API v2 sandbox",
        version="2",
        description="A stand-in for tests. Errors of /v2 have HTTP status 200; check meta.code.",
        openapi_url="/_sandbox/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    add_endpoints(app)
    app.include_router(create_control_router(state))
    app.add_exception_handler(RequestValidationError, _validation_error_response)
    build_openapi = app.openapi

    def openapi_with_security_scheme() -> dict[str, Any]:
        description = build_openapi()
        description.setdefault("components", {})["securitySchemes"] = KEY_SCHEME
        return description

    app.openapi = openapi_with_security_scheme  # type: ignore[method-assign]
    return Gateway(app, state, connections)


async def _validation_error_response(_: Request, error: Exception) -> JSONResponse:
    """List the errors without the rejected input, which may hold values that JSON cannot represent, such as NaN."""
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    detail = "; ".join(f"{'.'.join(map(str, item['loc'][1:]))[:60]}: {item['msg']}" for item in errors[:20])
    return JSONResponse({"detail": detail}, 422)
