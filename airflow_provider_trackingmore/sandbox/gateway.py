"""ASGI middleware around the v2 endpoints: authentication, rate limit, faults and the ledger."""

from __future__ import annotations

import asyncio
import math
import sys
import time
import traceback
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from .accounts import Account
from .envelope import EMPTY_DATA, ApiResult, HttpResponse, encode
from .faults import Fault
from .ledger import Entry, summarize_body
from .request_context import RequestContext
from .routes import endpoint_name
from .state import SandboxState

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .server import OpenConnections

_PREFIX = "/v2"
_HARMLESS_FAULTS = frozenset({"slow", "half_done"})
"""Faults with which the response arrives whole."""
_HTML_ERROR = (
    b"<!DOCTYPE html><html><head><title>%d</title></head><body><h1>%d</h1><p>Sandbox error page</p></body></html>"
)


class Gateway:
    """ASGI middleware for all requests to ``/v2``.

    :param app: the endpoints and the control API.
    :param state: the state of the sandbox.
    :param connections: the open connections.
    """

    def __init__(self, app: ASGIApp, state: SandboxState, connections: OpenConnections) -> None:
        self.app = app
        self.state = state
        self.connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        path = scope.get("raw_path", b"").decode("latin-1")
        if scope["type"] != "http" or not (path + "/").startswith(_PREFIX + "/"):
            await self.app(scope, receive, send)
            return
        body = await _read_body(receive)
        scope["path"] = path
        await _Exchange(self, scope, send, path.removeprefix(_PREFIX) or "/", body).run()


class _Exchange:
    """One request and its response."""

    def __init__(self, gateway: Gateway, scope: Scope, send: Send, path: str, body: bytes) -> None:
        self.gateway = gateway
        self.state = gateway.state
        self.scope = scope
        self.send = send
        self.method: str = scope["method"]
        self.path = path
        self.body = body
        self.client = tuple(scope["client"]) if scope.get("client") else None
        self.account = self.state.find_account(self._api_key())

    async def run(self) -> None:
        earliest, latest = self.gateway.connections.arrival(self.client)
        index = self.account.index if self.account else None
        latency_fault = self.state.faults.pick("arrival", self.method, self.path, index)
        if latency_fault:
            earliest = time.monotonic() + (delay := latency_fault.latency())
            await asyncio.sleep(delay)
            latest = time.monotonic()
        clock = self.state.clock
        now = clock.at(latest)
        query = dict(parse_qsl(self.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
        ledger = self.state.ledger
        entry = ledger.open_entry(
            index,
            time.time(),
            now,
            self.method,
            self._redact_key(self.path),
            {name: self._redact_key(value) for name, value in query.items()},
        )
        entry.endpoint = endpoint_name(self.method, self.path)
        entry.body = summarize_body(self.body)
        entry.add_fault(latency_fault)
        created: list[str] = []
        try:
            response, fault = await self._process(entry, query, clock.at(earliest), now, created)
        finally:
            ledger.close_entry(entry, created)
        await self._send(response, fault)

    async def _process(
        self, entry: Entry, query: dict[str, str], earliest: float, now: float, created: list[str]
    ) -> tuple[HttpResponse, Fault | None]:
        account = self.account
        if account is None:
            return self._error_response(entry, 4002 if self._api_key() in self.state.revoked_keys else 4001), None
        self._apply_account_fault(account, entry)
        if account.deleted:
            return self._error_response(entry, account.deleted_code), None
        if not self._within_rate_limit(account, earliest, now):
            return self._rate_limit_response(entry, account, now), None
        fault = self.state.faults.pick("response", self.method, self.path, account.index)
        entry.add_fault(fault)
        if fault and not fault.takes_effect:
            response = self._fault_response(fault, account, now)
        else:
            account.store.run_due_refreshes(now)
            context = RequestContext(self.state, account, now, {}, query, self.body)
            context.half_done = fault is not None and fault.kind == "half_done"
            response = await self._call_endpoint(context, entry)
            created += context.created
            if fault:
                response = self._apply_response_fault(fault, account, response, now)
            if context.answered and (fault is None or fault.kind in _HARMLESS_FAULTS):
                self.state.answers.record(entry.serial, now, account.index, context.answered)
        no_response = fault is not None and fault.kind.startswith(("reset", "close"))
        entry.http, entry.code = (None, None) if no_response else (response.status, response.code)
        return response, fault

    async def _call_endpoint(self, context: RequestContext, entry: Entry) -> HttpResponse:
        self.scope["sandbox.context"] = context
        try:
            await self.gateway.app(self.scope, _empty_body, _discard)
            response = context.response
        except Exception:
            traceback.print_exc(file=sys.stderr)
            response = None
        entry.effect = context.effect
        entry.charged = context.charged
        if response is None:
            return _with_status(encode(ApiResult(context.empty_data, 500)), 500)
        entry.items = context.items
        return response

    def _apply_account_fault(self, account: Account, entry: Entry) -> None:
        fault = self.state.faults.pick("account", self.method, self.path, account.index)
        if fault is None:
            return
        entry.add_fault(fault)
        if fault.kind == "quota":
            account.set_quota(fault.setting("left", 0))
        else:
            account.deleted = True
            account.deleted_code = int(fault.setting("code", 4002))

    def _within_rate_limit(self, account: Account, earliest: float, now: float) -> bool:
        if not self.state.limits or self.state.clock.frozen:
            return True
        switches = self.state.switches
        separate_limit = self.path == "/trackings/realtime" and switches["realtime_limit"] == "own-3"
        limit = account.realtime_rate if separate_limit else account.rate
        tolerance = switches.number("rate_tolerance") * self.state.clock.time_scale
        return limit.admit(earliest, now, tolerance, switches["cool_down_refresh"])

    def _rate_limit_response(self, entry: Entry | None, account: Account, now: float) -> HttpResponse:
        switches = self.state.switches
        response = self._encode_error(429)
        if switches["rate_limit_form"] == "http429":
            response.status = 429
        if switches["retry_after"] == "present":
            until = max(account.rate.cool_down_until, account.realtime_rate.cool_down_until, now)
            response.headers["retry-after"] = str(max(1, math.ceil((until - now) / self.state.clock.time_scale)))
        if entry:
            entry.http, entry.code = response.status, response.code
        return response

    def _fault_response(self, fault: Fault, account: Account, now: float) -> HttpResponse:
        if fault.kind == "429":
            if fault.settings.get("cool_down"):
                account.rate.start_cool_down(now)
            return self._rate_limit_response(None, account, now)
        if fault.kind in ("500", "503"):
            return _with_status(self._encode_error(int(fault.kind)), int(fault.kind))
        if fault.kind == "meta_code":
            return self._encode_error(int(fault.setting("value", 4999)))
        status = int(fault.setting("status", 502))
        return HttpResponse(status, _HTML_ERROR % (status, status), None, "text/html; charset=utf-8")

    def _apply_response_fault(self, fault: Fault, account: Account, response: HttpResponse, now: float) -> HttpResponse:
        if fault.kind in ("429", "500", "503", "meta_code", "html"):
            return self._fault_response(fault, account, now)
        if fault.kind == "truncated":
            return HttpResponse(response.status, response.body[: len(response.body) // 2], None)
        if fault.kind == "empty":
            return HttpResponse(200, b"", None)
        if fault.kind == "content_type":
            response.content_type = "text/html; charset=utf-8"
        return response

    def _encode_error(self, code: int) -> HttpResponse:
        return encode(ApiResult(EMPTY_DATA[self.state.switches["empty_data"]], code))

    def _error_response(self, entry: Entry, code: int) -> HttpResponse:
        response = self._encode_error(code)
        entry.http, entry.code = response.status, response.code
        return response

    async def _send(self, response: HttpResponse, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        if kind.startswith(("reset", "close")):
            await self.gateway.connections.end_connection(self.client, reset=kind.startswith("reset"))
            return
        if fault and kind == "slow":
            await asyncio.sleep(fault.setting("seconds", 5))
        headers = {"content-type": response.content_type, "content-length": str(len(response.body))} | response.headers
        raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": response.status, "headers": raw_headers})
        if kind == "partial":
            half = response.body[: len(response.body) // 2]
            await self.send({"type": "http.response.body", "body": half, "more_body": True})
            await self.gateway.connections.end_connection(self.client, reset=False)
            return
        await self.send({"type": "http.response.body", "body": response.body})

    def _redact_key(self, text: str) -> str:
        return text.replace(self.account.key, "***") if self.account else text

    def _api_key(self) -> str | None:
        headers: dict[bytes, bytes] = dict(self.scope["headers"])
        key = headers.get(b"trackingmore-api-key")
        if key is None and self.state.switches["key_header"] == "both":
            key = headers.get(b"tracking-api-key")
        return None if key is None else key.decode("latin-1")


def _with_status(response: HttpResponse, status: int) -> HttpResponse:
    response.status = status
    return response


async def _read_body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(parts)


async def _empty_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _discard(message: Message) -> None:
    """Discard what the endpoint sends: its response is in the request context, and the gateway sends it."""
