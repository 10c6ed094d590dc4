"""Where every request to ``/v2`` comes in and goes out: arrival, key, rate limit, faults, ledger. Knows no endpoint."""

from __future__ import annotations

import asyncio
import math
import sys
import time
import traceback
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from .accounts import Account
from .envelope import EMPTY, Answer, Wire, write
from .faults import Fault
from .ledger import Entry, body_summary
from .routes import endpoint_name
from .visit import Visit
from .world import World

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .server import Connections

_PREFIX = "/v2"
_PAGE = (
    b"<!DOCTYPE html><html><head><title>%d</title></head><body><h1>%d</h1><p>The gateway is unwell.</p></body></html>"
)


class FrontDoor:
    """The ASGI application around the endpoints.

    :param app: the endpoints and the control interface.
    :param world: everything there is.
    :param connections: the open connections.
    """

    def __init__(self, app: ASGIApp, world: World, connections: Connections) -> None:
        self.app = app
        self.world = world
        self.connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("raw_path", b"").decode("latin-1")
        if scope["type"] != "http" or not (path + "/").startswith(_PREFIX + "/"):
            await self.app(scope, receive, send)
            return
        body = await _read(receive)
        scope["path"] = path
        await _Passage(self, scope, send, path.removeprefix(_PREFIX) or "/", body).run()


class _Passage:
    """One request on its way through the door."""

    def __init__(self, door: FrontDoor, scope: Scope, send: Send, path: str, body: bytes) -> None:
        self.door = door
        self.world = door.world
        self.scope = scope
        self.send = send
        self.method: str = scope["method"]
        self.path = path
        self.body = body
        self.client = tuple(scope["client"]) if scope.get("client") else None
        self.account = self.world.account_with(self._key())

    async def run(self) -> None:
        earliest, latest = self.door.connections.arrival(self.client)
        index = self.account.index if self.account else None
        late = self.world.faults.pick("arrival", self.method, self.path, index)
        if late:
            earliest = time.monotonic() + (delay := late.latency())
            await asyncio.sleep(delay)
            latest = time.monotonic()
        clock = self.world.clock
        now = clock.at(latest)
        query = dict(parse_qsl(self.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
        ledger = self.world.ledger
        entry = ledger.open(
            index,
            time.time(),
            now,
            self.method,
            self._without_key(self.path),
            {name: self._without_key(value) for name, value in query.items()},
        )
        entry.endpoint = endpoint_name(self.method, self.path)
        entry.body = body_summary(self.body)
        entry.add_fault(late)
        created: list[str] = []
        try:
            wire, fault = await self._decide(entry, query, clock.at(earliest), now, created)
        finally:
            ledger.close(entry, created)
        await self._deliver(wire, fault)

    async def _decide(
        self, entry: Entry, query: dict[str, str], earliest: float, now: float, created: list[str]
    ) -> tuple[Wire, Fault | None]:
        account = self.account
        if account is None:
            return self._refused(entry, 4001), None
        self._apply_state_fault(account, entry)
        if account.deleted:
            return self._refused(entry, account.deleted_code), None
        if not self._admitted(account, earliest, now):
            return self._rate_limited(entry, account, now), None
        fault = self.world.faults.pick("answer", self.method, self.path, account.index)
        entry.add_fault(fault)
        if fault and not fault.applies:
            wire = self._instead(fault, account, now)
        else:
            account.store.settle(now)
            visit = Visit(self.world, account, now, {}, query, self.body)
            visit.half_done = fault is not None and fault.kind == "half_done"
            wire = await self._apply(visit, entry)
            created += visit.created
            if fault:
                wire = self._spoilt(fault, account, wire, now)
        gone = fault is not None and fault.kind.startswith(("reset", "close"))
        entry.http, entry.code = (None, None) if gone else (wire.status, wire.code)
        return wire, fault

    async def _apply(self, visit: Visit, entry: Entry) -> Wire:
        self.scope["sandbox.visit"] = visit
        try:
            await self.door.app(self.scope, _no_body, _swallow)
            wire = visit.wire
        except Exception:
            traceback.print_exc(file=sys.stderr)
            wire = None
        entry.effect = visit.effect
        entry.charged = visit.charged
        if wire is None:
            return _with_status(write(Answer(visit.nothing, 500)), 500)
        entry.items = visit.items
        return wire

    def _apply_state_fault(self, account: Account, entry: Entry) -> None:
        fault = self.world.faults.pick("state", self.method, self.path, account.index)
        if fault is None:
            return
        entry.add_fault(fault)
        if fault.kind == "quota":
            account.set_quota(fault.number("left", 0))
        else:
            account.deleted = True
            account.deleted_code = int(fault.number("code", 4002))

    def _admitted(self, account: Account, earliest: float, now: float) -> bool:
        if not self.world.limits or self.world.clock.frozen:
            return True
        switches = self.world.switches
        own = self.path == "/trackings/realtime" and switches["realtime_limit"] == "own-3"
        limit = account.realtime_rate if own else account.rate
        tolerance = switches.number("rate_tolerance") * self.world.clock.time_scale
        return limit.admit(earliest, now, tolerance, switches["cool_down_refresh"])

    def _rate_limited(self, entry: Entry | None, account: Account, now: float) -> Wire:
        switches = self.world.switches
        wire = self._error(429)
        if switches["rate_limit_form"] == "http429":
            wire.status = 429
        if switches["retry_after"] == "present":
            until = max(account.rate.cool_until, account.realtime_rate.cool_until, now)
            wire.headers["retry-after"] = str(max(1, math.ceil((until - now) / self.world.clock.time_scale)))
        if entry:
            entry.http, entry.code = wire.status, wire.code
        return wire

    def _instead(self, fault: Fault, account: Account, now: float) -> Wire:
        if fault.kind == "429":
            if fault.settings.get("cool_down"):
                account.rate.start_cool_down(now)
            return self._rate_limited(None, account, now)
        if fault.kind in ("500", "503"):
            return _with_status(self._error(int(fault.kind)), int(fault.kind))
        status = int(fault.number("status", 502))
        return Wire(status, _PAGE % (status, status), None, "text/html; charset=utf-8")

    def _spoilt(self, fault: Fault, account: Account, wire: Wire, now: float) -> Wire:
        if fault.kind in ("429", "500", "503", "html"):
            return self._instead(fault, account, now)
        if fault.kind == "truncated":
            return Wire(wire.status, wire.body[: len(wire.body) // 2], None)
        if fault.kind == "empty":
            return Wire(200, b"", None)
        if fault.kind == "content_type":
            wire.content_type = "text/html; charset=utf-8"
        return wire

    def _error(self, code: int) -> Wire:
        return write(Answer(EMPTY[self.world.switches["empty_data"]], code))

    def _refused(self, entry: Entry, code: int) -> Wire:
        wire = self._error(code)
        entry.http, entry.code = wire.status, wire.code
        return wire

    async def _deliver(self, wire: Wire, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        if kind.startswith(("reset", "close")):
            await self.door.connections.tear(self.client, reset=kind.startswith("reset"))
            return
        if fault and kind == "slow":
            await asyncio.sleep(fault.number("seconds", 5))
        headers = {"content-type": wire.content_type, "content-length": str(len(wire.body))} | wire.headers
        lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": wire.status, "headers": lines})
        if kind == "partial":
            half = wire.body[: len(wire.body) // 2]
            await self.send({"type": "http.response.body", "body": half, "more_body": True})
            await self.door.connections.tear(self.client, reset=False)
            return
        await self.send({"type": "http.response.body", "body": wire.body})

    def _without_key(self, text: str) -> str:
        return text.replace(self.account.key, "***") if self.account else text

    def _key(self) -> str | None:
        headers: dict[bytes, bytes] = dict(self.scope["headers"])
        key = headers.get(b"trackingmore-api-key")
        if key is None and self.world.switches["key_header"] == "both":
            key = headers.get(b"tracking-api-key")
        return None if key is None else key.decode("latin-1")


def _with_status(wire: Wire, status: int) -> Wire:
    wire.status = status
    return wire


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(parts)


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _swallow(message: Message) -> None:
    """The endpoint's answer has gone into the visit; the door writes it."""
