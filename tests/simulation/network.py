"""The network between triggerers and the vendor: how long calls take, and what goes wrong on the way.

Every call is recorded. The oracle judges only by these records and by the true states of the parcels.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from airflow_provider_trackingmore.api.errors import (
    ConnectError,
    ResponseLostError,
    TrackingMoreError,
    TransportError,
)
from tests.simulation.parcels import Name, Parcel, State
from tests.simulation.vendor import JSON, Reply, Vendor

TIME_OUT = 30.0
"""The client's timeout for a response."""
SLOW = (3.0, 25.0)
HTML = {"Content-Type": "text/html"}
PAGE = b"<html><head><title>%d</title></head><body>An intermediate server answers for the real one.</body></html>"

KINDS = (
    *("slow", "lost before", "lost after", "reset", "cut", "redirect", "unknown code", "server 500", "server 503"),
    *("html 401", "html 403", "html 404", "html 502", "html 407", "html 408", "limit", "stray refusal"),
)
REFUSALS = (401, 403, 4001, 4002, 402, 4018, 4019, 4021)


@dataclass
class Fault:
    """A fault.

    :param kind: one of ``KINDS``, or ``poison``: calls that name one number get a 500.
    :param begins: when it begins.
    :param ends: when it ends.
    :param share: the share of calls in that time that it affects.
    :param times: the maximum number of calls that it affects.
    :param number: the poisoned number.
    """

    kind: str
    begins: float
    ends: float
    share: float = 1.0
    times: int = 10**9
    number: str = ""

    def may_affect(self, call: Call, now: float) -> bool:
        """Tell whether it may affect a call."""
        named = self.kind != "poison" or self.number.casefold() in call.numbers
        return self.begins <= now < self.ends and self.times > 0 and named


@dataclass(eq=False)
class Call:
    """The record of one call.

    :param triggerer: the name of the sender; each life of a triggerer has its own name.
    :param account: the vendor's account.
    :param key: the key that it was sent with.
    :param kind: ``numbers``, ``get``, ``list``, ``change`` or ``probe``: by a watcher, whether the account works again.
    :param numbers: the numbers that it names.
    :param name: the shipment that it requests, if it is a ``get``.
    :param query: its target.
    :param asked_at: when the poller asked for it.
    :param departed_at: when it was sent.
    :param arrived_at: when it reached the vendor.
    :param ended_at: when its response reached the poller.
    :param result: ``ok``, ``failed``, ``limited`` or ``refused``; ``lost`` if nobody waited for the response any more.
    :param cause: what went wrong.
    :param error: the client's error.
    :param code: ``meta.code`` of the vendor's response.
    :param cool_down: how long the account sends nothing after it, in seconds.
    :param shown: the parcels in the response.
    """

    triggerer: str
    account: str
    key: str
    kind: str
    numbers: frozenset[str]
    name: Name | None
    query: str
    asked_at: float
    departed_at: float
    arrived_at: float | None = None
    ended_at: float = float("inf")
    result: str = "lost"
    cause: str = ""
    error: str = ""
    code: int | None = None
    cool_down: float = 0.0
    shown: tuple[tuple[Parcel, State], ...] = ()


@dataclass
class Network:
    """The network to one account.

    :param vendor: the vendor's side.
    :param account: the name of the account.
    :param rng: for everything that happens at random.
    :param latency: the shortest and the longest round-trip time, in seconds.
    :param faults: the faults.
    """

    vendor: Vendor
    account: str
    rng: random.Random
    latency: tuple[float, float]
    faults: list[Fault]
    calls: list[Call] = field(default_factory=list)

    def begin(
        self, call: Call, path: str, query: Mapping[str, str], *, warm: bool, answered: Callable[[], None]
    ) -> asyncio.Future[Reply]:
        """Send a call. It reaches the vendor even if nobody waits for the response any more.

        :param answered: called when the first byte of the response arrives.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        self.calls.append(call)
        fault = self._fault(call, loop.time())
        call.cause = "" if fault is None else fault.kind + (f" {fault.number.casefold()}" if fault.number else "")
        kind = "" if fault is None else fault.kind
        rtt = self.rng.uniform(*self.latency)
        setting_up = 0.0 if warm else self.rng.uniform(0.0, 3.0) * self.latency[1]
        arrives_at = loop.time() + setting_up + rtt / 2

        def fail(error: TrackingMoreError) -> None:
            if not future.done():
                future.set_exception(error)

        def answer(reply: Reply) -> None:
            answered()
            if not future.done():
                future.set_result(reply)

        def arrive() -> None:
            call.arrived_at = loop.time()
            if kind == "limit":
                self.vendor.start_cool_down(call.key, loop.time())
            reply = self.vendor.answer(call.key, path, query, loop.time())
            call.code = reply.code
            if kind in ("lost after", "reset"):
                error = ResponseLostError(f"{kind}: the answer was lost")
                loop.call_later(rtt / 2 if kind == "reset" else TIME_OUT - rtt / 2, fail, error)
                return
            if reply.code not in (429, 4002):
                reply = self._damage(reply, kind)
            takes = self.rng.uniform(*SLOW) if kind == "slow" else 0.0
            loop.call_later(rtt / 2 + takes + 1e-4 * len(reply.shown), answer, reply)

        if kind == "lost before":
            lost = ConnectError("no connection") if self.rng.random() < 0.5 else ResponseLostError("no answer in time")
            loop.call_later(2.0 if isinstance(lost, ConnectError) else TIME_OUT, fail, lost)
        elif kind == "redirect":
            loop.call_at(arrives_at + rtt / 2, fail, TransportError("a redirect is not followed", http_status=302))
        elif kind.startswith("html"):
            status = int(kind.split()[1])
            loop.call_at(arrives_at + rtt / 2, answer, Reply(status, HTML, PAGE % status, "refused"))
        else:
            loop.call_at(arrives_at, arrive)
        return future

    def _fault(self, call: Call, now: float) -> Fault | None:
        for fault in self.faults:
            if fault.may_affect(call, now) and (fault.share >= 1 or self.rng.random() < fault.share):
                fault.times -= 1
                return fault
        return None

    def _damage(self, reply: Reply, kind: str) -> Reply:
        """Return what a fault makes of a good response."""
        if kind == "cut":
            return Reply(200, JSON, reply.body[: len(reply.body) // 2], "refused")
        if kind == "unknown code":
            return self.vendor.refusal(4999, "Something new")
        if kind in ("server 500", "server 503", "poison"):
            code = 503 if kind == "server 503" else 500
            if self.rng.random() < 0.5:
                return Reply(code, HTML, PAGE % code, "refused")
            return self.vendor.refusal(code, "The server failed")
        if kind == "stray refusal":
            return self.vendor.refusal(self.rng.choice(REFUSALS), "No")
        return reply
