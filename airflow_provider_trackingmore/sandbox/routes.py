"""The 18 endpoints and their OpenAPI description. Knows how a request reaches an endpoint, not what that does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from . import air_cargo, editing, lookups, reading, registering
from .envelope import Answer, Refusal, write
from .visit import Visit

_Schema = dict[str, Any]
_TEXT: _Schema = {"type": "string"}
_INTEGER: _Schema = {"type": "integer"}
_KEY: _Schema = {"tracking_number": _TEXT, "carrier_code": _TEXT}
_DETAILS: _Schema = dict.fromkeys(
    (
        "destination_code",
        "title",
        "logistics_channel",
        "customer_name",
        "customer_email",
        "customer_phone",
        "order_id",
        "comment",
        "order_create_time",
        "tracking_ship_date",
        "tracking_postal_code",
        "tracking_account_number",
        "tracking_destination_country",
        "lang",
    ),
    _TEXT,
) | {"auto_correct": {"type": "integer"}}
_CHANGES: _Schema = {
    **dict.fromkeys(
        ("title", "logistics_channel", "customer_name", "customer_email", "customer_phone", "order_id"), _TEXT
    ),
    "destination_code": _TEXT,
    "archived": {"type": "string", "enum": ["true", "false"]},
    "status": {"enum": [4, 7, 8, "4", "7", "8"]},
}


def _object(properties: _Schema, *required: str) -> _Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _rows(item: _Schema) -> _Schema:
    return {"type": "array", "items": item, "minItems": 1, "maxItems": 40}


_SHIPMENT = _object(_KEY | _DETAILS, "tracking_number", "carrier_code")
_SHIPMENT_KEY = _object(_KEY, "tracking_number", "carrier_code")
_INSTANTS = ("created_at_min", "created_at_max", "order_created_time_min", "order_created_time_max")
_UPDATES = ("update_time_min", "update_time_max")
_FILTERS: _Schema = {
    "page": {"type": "integer", "minimum": 1},
    "limit": {"type": "integer", "minimum": 1, "maximum": 2000},
    **dict.fromkeys(("status", "lang", "numbers", "orders", "archived"), _TEXT),
    **dict.fromkeys((*_INSTANTS, *_UPDATES), _INTEGER),
}
_PLACE = _object({"country": _TEXT, "postcode": _TEXT, "company": _TEXT}, "country", "postcode")
_LANE = _object(
    {"carrier_code": _TEXT, "original": _TEXT, "destination": _TEXT}, "carrier_code", "original", "destination"
)
_NEW_CARRIER = _object(_KEY | {"update_carrier_code": _TEXT}, "tracking_number", "carrier_code", "update_carrier_code")
_WAYBILLS = _object(
    {"track_number": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}, "lang": _TEXT}, "track_number"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint.

    :param method: HTTP method.
    :param path: path below ``/v2``.
    :param handler: what it does.
    :param body: JSON schema of the body.
    :param query: JSON schemas of the query parameters.
    """

    method: str
    path: str
    handler: Callable[[Visit], Answer]
    body: _Schema | None = None
    query: Mapping[str, _Schema] = field(default_factory=dict)


_ONE = "/trackings/{carrier_code}/{tracking_number}"
ENDPOINTS = (
    Endpoint("POST", "/trackings/post", registering.create, _SHIPMENT),
    Endpoint("POST", "/trackings/batch", registering.create_batch, _rows(_SHIPMENT)),
    Endpoint("GET", "/trackings/get", reading.list_page, query=_FILTERS),
    Endpoint("POST", "/trackings/get", reading.list_page_by_post, _object(_FILTERS)),
    Endpoint("POST", "/trackings/updatemore", editing.update_many, _rows(_object(_KEY | _CHANGES, *_KEY))),
    Endpoint("POST", "/trackings/delete", editing.delete_many, _rows(_SHIPMENT_KEY)),
    Endpoint("POST", "/trackings/realtime", reading.realtime, _SHIPMENT),
    Endpoint("POST", "/trackings/update", editing.change_carrier, _NEW_CARRIER),
    Endpoint("GET", "/trackings/getuserinfo", lookups.account_info),
    Endpoint(
        "GET", "/trackings/getstatusnumber", reading.count_by_status, query={name: _FILTERS[name] for name in _INSTANTS}
    ),
    Endpoint("POST", "/trackings/notupdate", editing.stop_updates, _rows(_SHIPMENT_KEY)),
    Endpoint("POST", "/trackings/remote", lookups.remote_areas, _rows(_PLACE)),
    Endpoint("POST", "/trackings/costtime", lookups.transit_times, _rows(_LANE)),
    Endpoint("POST", "/trackings/aircargo", air_cargo.track_air_cargo, _WAYBILLS),
    Endpoint("GET", "/carriers", lookups.list_carriers),
    Endpoint(
        "POST", "/carriers/detect", lookups.detect_carrier, _object({"tracking_number": _TEXT}, "tracking_number")
    ),
    Endpoint("GET", _ONE, reading.get_one),
    Endpoint("GET", _ONE + "/{lang}", reading.get_one),
    Endpoint("PUT", _ONE, editing.update_one, _object(_CHANGES)),
    Endpoint("DELETE", _ONE, editing.delete_one),
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
        "data": {"description": "an object, a list or null, by the endpoint and its success"},
    },
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": says, "content": {"application/json": {"schema": _ENVELOPE}}}
    for status, says in (
        (200, "success and errors alike: meta.code tells"),
        (429, "over the rate limit, when the switch rate_limit_form says http429"),
    )
}


KEY_SCHEME: _Schema = {"key": {"type": "apiKey", "in": "header", "name": "Trackingmore-Api-Key"}}


def add_endpoints(app: FastAPI) -> None:
    """Let an application answer under ``/v2``.

    :param app: the application; the front door has put a visit into the scope of each of its requests.
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
    app.add_exception_handler(HTTPException, _no_such_page)


_PLAIN = {(endpoint.method, endpoint.path): endpoint.path for endpoint in ENDPOINTS if "{" not in endpoint.path}


def endpoint_name(method: str, path: str) -> str | None:
    """Name the endpoint that a request is meant for.

    :param method: HTTP method.
    :param path: path below ``/v2``.
    :return: method and path pattern; None for an unknown path.
    """
    pattern = _PLAIN.get((method, path))
    if pattern is None and path.startswith("/trackings/") and method in ("GET", "PUT", "DELETE"):
        pattern = {3: _ONE, 4: _ONE + "/{lang}"}.get(path.count("/"))
    return pattern and f"{method} {pattern}"


def _route(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def reply(request: Request) -> Response:
        visit: Visit = request.scope["sandbox.visit"]
        visit.params = {part: unquote(value) for part, value in request.path_params.items()}
        try:
            answer = endpoint.handler(visit)
            visit.items = answer.items
            visit.wire = write(answer)
        except Refusal as refusal:
            visit.refuse(refusal.code)
        return Response()

    return reply


async def _no_such_page(request: Request, problem: Exception) -> Response:
    visit: Visit | None = request.scope.get("sandbox.visit")
    status = problem.status_code if isinstance(problem, HTTPException) else 500
    if visit is None:
        detail = problem.detail if isinstance(problem, HTTPException) else "internal error"
        return JSONResponse({"detail": detail}, status)
    visit.refuse(405 if status == 405 else 404)
    return Response()


def _openapi(endpoint: Endpoint) -> dict[str, Any]:
    in_path = [part[1:-1] for part in endpoint.path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in in_path]
    parameters += [{"name": name, "in": "query", "required": False, "schema": s} for name, s in endpoint.query.items()]
    extra: dict[str, Any] = {"parameters": parameters, "security": [{"key": []}]}
    if endpoint.body is not None:
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": endpoint.body}}}
    return extra
