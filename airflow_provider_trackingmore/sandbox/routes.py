"""The routes of the 18 endpoints, and their OpenAPI description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from . import air_cargo, editing, lookups, reading, registering
from .envelope import ApiError, ApiResult, encode
from .request_context import RequestContext
from .shipments import DETAIL_FIELDS

_Schema = dict[str, Any]
_TEXT: _Schema = {"type": "string"}
_INTEGER: _Schema = {"type": "integer"}
_KEY_FIELDS: _Schema = {"tracking_number": _TEXT, "carrier_code": _TEXT}
_DETAIL_SCHEMAS: _Schema = dict.fromkeys(DETAIL_FIELDS, _TEXT) | {"auto_correct": {"type": "integer"}}
_CHANGES: _Schema = {
    **dict.fromkeys(editing.EDITABLE_FIELDS, _TEXT),
    "archived": {"type": "string", "enum": ["true", "false"]},
    "status": {"enum": [4, 7, 8, "4", "7", "8"]},
}


def _object(properties: _Schema, *required: str) -> _Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _array(item: _Schema) -> _Schema:
    return {"type": "array", "items": item, "minItems": 1, "maxItems": 40}


_SHIPMENT = _object(_KEY_FIELDS | _DETAIL_SCHEMAS, "tracking_number", "carrier_code")
_SHIPMENT_KEY = _object(_KEY_FIELDS, "tracking_number", "carrier_code")
_CREATED_FILTERS = ("created_at_min", "created_at_max", "order_created_time_min", "order_created_time_max")
_UPDATED_FILTERS = ("update_time_min", "update_time_max")
_FILTERS: _Schema = {
    "page": {"type": "integer", "minimum": 1},
    "limit": {"type": "integer", "minimum": 1, "maximum": 2000},
    **dict.fromkeys(("status", "lang", "numbers", "orders", "archived"), _TEXT),
    **dict.fromkeys((*_CREATED_FILTERS, *_UPDATED_FILTERS), _INTEGER),
}
_PLACE = _object({"country": _TEXT, "postcode": _TEXT, "company": _TEXT}, "country", "postcode")
_LANE = _object(
    {"carrier_code": _TEXT, "original": _TEXT, "destination": _TEXT}, "carrier_code", "original", "destination"
)
_NEW_CARRIER = _object(
    _KEY_FIELDS | {"update_carrier_code": _TEXT}, "tracking_number", "carrier_code", "update_carrier_code"
)
_WAYBILLS = _object(
    {"track_number": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}, "lang": _TEXT}, "track_number"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint.

    :param method: HTTP method.
    :param path: path below ``/v2``.
    :param handler: the function that implements it.
    :param body: JSON schema of the body.
    :param query: JSON schemas of the query parameters.
    """

    method: str
    path: str
    handler: Callable[[RequestContext], ApiResult]
    body: _Schema | None = None
    query: Mapping[str, _Schema] = field(default_factory=dict)


_TRACKING_PATH = "/trackings/{carrier_code}/{tracking_number}"
ENDPOINTS = (
    Endpoint("POST", "/trackings/post", registering.create, _SHIPMENT),
    Endpoint("POST", "/trackings/batch", registering.create_batch, _array(_SHIPMENT)),
    Endpoint("GET", "/trackings/get", reading.list_page, query=_FILTERS),
    Endpoint("POST", "/trackings/get", reading.list_page_by_post, _object(_FILTERS)),
    Endpoint(
        "POST",
        "/trackings/updatemore",
        editing.update_many,
        _array(_object(_KEY_FIELDS | _CHANGES, *_KEY_FIELDS)),
    ),
    Endpoint("POST", "/trackings/delete", editing.delete_many, _array(_SHIPMENT_KEY)),
    Endpoint("POST", "/trackings/realtime", reading.realtime, _SHIPMENT),
    Endpoint("POST", "/trackings/update", editing.change_carrier, _NEW_CARRIER),
    Endpoint("GET", "/trackings/getuserinfo", lookups.account_info),
    Endpoint(
        "GET",
        "/trackings/getstatusnumber",
        reading.count_by_status,
        query={name: _FILTERS[name] for name in _CREATED_FILTERS},
    ),
    Endpoint("POST", "/trackings/notupdate", editing.stop_updates, _array(_SHIPMENT_KEY)),
    Endpoint("POST", "/trackings/remote", lookups.remote_areas, _array(_PLACE)),
    Endpoint("POST", "/trackings/costtime", lookups.transit_times, _array(_LANE)),
    Endpoint("POST", "/trackings/aircargo", air_cargo.track_air_cargo, _WAYBILLS),
    Endpoint("GET", "/carriers", lookups.list_carriers),
    Endpoint(
        "POST",
        "/carriers/detect",
        lookups.detect_carrier,
        _object({"tracking_number": _TEXT}, "tracking_number"),
    ),
    Endpoint("GET", _TRACKING_PATH, reading.get_one),
    Endpoint("GET", _TRACKING_PATH + "/{lang}", reading.get_one),
    Endpoint("PUT", _TRACKING_PATH, editing.update_one, _object(_CHANGES)),
    Endpoint("DELETE", _TRACKING_PATH, editing.delete_one),
)

_ENVELOPE: _Schema = {
    "type": "object",
    "required": ["meta", "data"],
    "properties": {
        "meta": {
            "type": "object",
            "required": ["code"],
            "properties": {"code": {"type": "integer"}, "type": _TEXT, "message": _TEXT},
        },
        "data": {"description": "an object, a list or null, depending on the endpoint"},
    },
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": {"application/json": {"schema": _ENVELOPE}}}
    for status, description in (
        (200, "success or error; check meta.code"),
        (429, "rate limit exceeded, if the switch rate_limit_form is http429"),
    )
}


KEY_SCHEME: _Schema = {"key": {"type": "apiKey", "in": "header", "name": "Trackingmore-Api-Key"}}


def add_endpoints(app: FastAPI) -> None:
    """Add the v2 endpoints to an application.

    :param app: the application; the gateway puts a request context into the scope of each request.
    """
    for endpoint in ENDPOINTS:
        app.add_api_route(
            "/v2" + endpoint.path,
            _route(endpoint),
            methods=[endpoint.method],
            summary=(endpoint.handler.__doc__ or "").strip(),
            operation_id=f"{endpoint.handler.__name__}{'_in_language' if '{lang}' in endpoint.path else ''}",
            tags=["v2"],
            responses=_RESPONSES,
            openapi_extra=_openapi(endpoint),
        )
    app.add_exception_handler(HTTPException, _http_error_response)


_FIXED_PATHS = {(endpoint.method, endpoint.path): endpoint.path for endpoint in ENDPOINTS if "{" not in endpoint.path}


def endpoint_name(method: str, path: str) -> str | None:
    """Find the endpoint of a request.

    :param method: HTTP method.
    :param path: path below ``/v2``.
    :return: method and path pattern; None for an unknown path.
    """
    pattern = _FIXED_PATHS.get((method, path))
    if pattern is None and path.startswith("/trackings/") and method in ("GET", "PUT", "DELETE"):
        pattern = {3: _TRACKING_PATH, 4: _TRACKING_PATH + "/{lang}"}.get(path.count("/"))
    return pattern and f"{method} {pattern}"


def _route(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint_route(request: Request) -> Response:
        context: RequestContext = request.scope["sandbox.context"]
        context.params = {part: unquote(value) for part, value in request.path_params.items()}
        try:
            result = endpoint.handler(context)
            context.items = result.items
            context.response = encode(result)
        except ApiError as error:
            context.fail(error.code)
        return Response()

    return endpoint_route


async def _http_error_response(request: Request, error: Exception) -> Response:
    context: RequestContext | None = request.scope.get("sandbox.context")
    status = error.status_code if isinstance(error, HTTPException) else 500
    if context is None:
        detail = error.detail if isinstance(error, HTTPException) else "internal error"
        return JSONResponse({"detail": detail}, status)
    context.fail(405 if status == 405 else 404)
    return Response()


def _openapi(endpoint: Endpoint) -> dict[str, Any]:
    in_path = [part[1:-1] for part in endpoint.path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in in_path]
    parameters += [{"name": name, "in": "query", "required": False, "schema": s} for name, s in endpoint.query.items()]
    extra: dict[str, Any] = {"parameters": parameters, "security": [{"key": []}]}
    if endpoint.body is not None:
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": endpoint.body}}}
    return extra
