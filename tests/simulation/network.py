"""The way between a triggerer and the vendor: how long calls travel, and what may go wrong on the way.

Every call is noted: the oracle judges by these notes and by the parcels' truth alone.
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
"""The client's own time-out for an answer."""
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
    """Something that goes wrong.

    :param kind: one of ``KINDS``, or ``poison``: calls that name one number are answered 500.
    :param begins: the first moment.
    :param ends: the last one.
    :param share: of the calls in that time.
    :param times: how often at most.
    :param number: the poisoned number.
    """

    kind: str
    begins: float
    ends: float
    share: float = 1.0
    times: int = 10**9
    number: str = ""

    def concerns(self, call: Call, now: float) -> bool:
        """Whether it may strike this call."""
        named = self.kind != "poison" or self.number.casefold() in call.numbers
        return self.begins <= now < self.ends and self.times > 0 and named


@dataclass(eq=False)
class Call:
    """One call, as the oracle sees it.

    :param triggerer: who sent it; each life of a triggerer has a name of its own.
    :param account: the vendor's account.
    :param key: the key it was sent with.
    :param kind: ``numbers``, ``get``, ``list`` or ``change``.
    :param numbers: the numbers that it names.
    :param name: the one shipment that it asks for, where it is ``get``.
    :param asked_at: when the poller wanted it.
    :param departed_at: when it left.
    :param arrived_at: when the vendor had it.
    :param ended_at: when the poller had its answer.
    :param result: ``ok``, ``failed``, ``limited``, ``refused``; ``lost`` when nobody waits for the answer any more.
    :param cause: what went wrong.
    :param error: the error that the client made of it.
    :param code: ``meta.code``, where the vendor answered.
    :param cool_down: how long the account sends nothing after it, in seconds.
    :param shown: what the answer shows.
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
    """The way to one account.

    :param vendor: who answers.
    :param account: its name.
    :param rng: decides on everything that happens by chance.
    :param latency: shortest and longest round trip.
    :param faults: what goes wrong.
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
        """Let a call depart. It arrives whether or not somebody still waits for its answer.

        :param answered: called when the answer's first byte is here.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        self.calls.append(call)
        fault = self._fault(call, loop.time())
        call.cause = "" if fault is None else fault.kind + (f" {fault.number.casefold()}" if fault.number else "")
        kind = "" if fault is None else fault.kind
        trip = self.rng.uniform(*self.latency)
        setting_up = 0.0 if warm else self.rng.uniform(0.0, 3.0) * self.latency[1]
        there = loop.time() + setting_up + trip / 2

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
                loop.call_later(trip / 2 if kind == "reset" else TIME_OUT - trip / 2, fail, error)
                return
            if reply.code not in (429, 4002):
                reply = self._spoilt(reply, kind)
            takes = self.rng.uniform(*SLOW) if kind == "slow" else 0.0
            loop.call_later(trip / 2 + takes + 1e-4 * len(reply.shown), answer, reply)

        if kind == "lost before":
            lost = ConnectError("no connection") if self.rng.random() < 0.5 else ResponseLostError("no answer in time")
            loop.call_later(2.0 if isinstance(lost, ConnectError) else TIME_OUT, fail, lost)
        elif kind == "redirect":
            loop.call_at(there + trip / 2, fail, TransportError("a redirect is not followed", http_status=302))
        elif kind.startswith("html"):
            status = int(kind.split()[1])
            loop.call_at(there + trip / 2, answer, Reply(status, HTML, PAGE % status, "refused"))
        else:
            loop.call_at(there, arrive)
        return future

    def _fault(self, call: Call, now: float) -> Fault | None:
        for fault in self.faults:
            if fault.concerns(call, now) and (fault.share >= 1 or self.rng.random() < fault.share):
                fault.times -= 1
                return fault
        return None

    def _spoilt(self, reply: Reply, kind: str) -> Reply:
        """What becomes of a good answer."""
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
