"""Puts the sandbox together: the endpoints, the control interface, and the front door around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from .control import control_routes
from .front_door import FrontDoor
from .routes import add_endpoints
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
    return FrontDoor(app, world, connections)
