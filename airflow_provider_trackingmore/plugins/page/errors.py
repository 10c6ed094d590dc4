"""Errors of the page as JSON: ``{"detail": {"message": ..., "hint": ...}}``, without secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException

log = logging.getLogger(__name__)

HINTS = {
    401: "Log in to Airflow.",
    403: "Log in again, or ask for a role that may read the views of plugins.",
}


class PageError(HTTPException):
    """A request that the page cannot answer.

    :param status: the HTTP status.
    :param message: what is wrong.
    :param hint: what to do about it.
    """

    def __init__(self, status: int, message: str, hint: str | None = None) -> None:
        super().__init__(status, {"message": message, "hint": hint})


class PageRoute(APIRoute):
    """A route whose unexpected errors become a 500 with a fixed message, since their text may contain anything."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        """Return the handler of the route."""
        handle = super().get_route_handler()

        async def handle_errors(request: Request) -> Response:
            try:
                return await handle(request)
            except (StarletteHTTPException, RequestValidationError):
                raise
            except Exception as error:
                log.exception("The page cannot answer %s (%s)", request.url.path, type(error).__name__)
                raise PageError(
                    500, "This part of the page has failed.", "The log of the API server says why."
                ) from None

        return handle_errors


def add_error_handlers(app: FastAPI) -> None:
    """Give all errors of an application the same JSON form.

    :param app: the application.
    """

    @app.exception_handler(StarletteHTTPException)
    async def answer_http_error(_: Request, error: StarletteHTTPException) -> JSONResponse:
        detail: object = error.detail
        if not isinstance(detail, dict):
            detail = {"message": str(detail), "hint": HINTS.get(error.status_code)}
        return JSONResponse({"detail": detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def answer_invalid_request(_: Request, error: RequestValidationError) -> JSONResponse:
        names = sorted({str(problem["loc"][-1]) for problem in error.errors()})
        return JSONResponse({"detail": {"message": f"Invalid: {', '.join(names)}", "hint": None}}, 422)
