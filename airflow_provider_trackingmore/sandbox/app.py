"""Puts the sandbox together: the endpoints, the control interface, and the front door around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from .control import control_routes
from .front_door import FrontDoor
from .routes import KEY_SCHEME, add_endpoints
from .world import World

if TYPE_CHECKING:
    from .server import Connections


def create_app(world: World, connections: Connections) -> FrontDoor:
    """Make the ASGI application.

    :param world: everything there is.
    :param connections: the open connections, as the server knows them.
    :return: the application.
    """
    app = FastAPI(
        title="TrackingMore API v2 sandbox",
        version="2",
        description="A stand-in for tests. Errors of /v2 come with HTTP 200: meta.code tells.",
        openapi_url="/_sandbox/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    add_endpoints(app)
    app.include_router(control_routes(world))
    app.add_exception_handler(RequestValidationError, _not_understood)
    describe = app.openapi

    def with_key() -> dict[str, Any]:
        description = describe()
        description.setdefault("components", {})["securitySchemes"] = KEY_SCHEME
        return description

    app.openapi = with_key  # type: ignore[method-assign]
    return FrontDoor(app, world, connections)


async def _not_understood(_: Request, problem: Exception) -> JSONResponse:
    """In words, and without what was sent: it may hold what JSON cannot, such as NaN."""
    wrong = problem.errors() if isinstance(problem, RequestValidationError) else []
    said = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))[:60]}: {one['msg']}" for one in wrong[:20])
    return JSONResponse({"detail": said}, 422)
