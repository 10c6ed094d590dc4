"""The client of one triggerer for one account: the real rate limiter and parser, on a simulated network."""

from __future__ import annotations

import asyncio
import random
from typing import TypeVar
from urllib.parse import unquote

from airflow_provider_trackingmore.api.envelope import Request, parse_response
from airflow_provider_trackingmore.api.errors import RateLimitError, TrackingMoreError, TrackingNotFoundError
from airflow_provider_trackingmore.client.rate_limit.clock import RateLimiter, SlotBusy
from airflow_provider_trackingmore.client.rate_limit.stores import MemoryStore
from tests.simulation.network import REFUSALS, Call, Network
from tests.simulation.parcels import Name, name_of
from tests.simulation.vendor import COOL_DOWN_SECONDS, SLOT_SECONDS

T = TypeVar("T")

STAYS_OPEN = 20.0
"""How long an idle connection can be reused, in seconds."""
HAND_OVER_SECONDS = (0.0005, 0.003)
"""How long it takes to pass a step to a thread, in seconds."""


class Sender:
    """Sends to one account with one key.

    :param network: the network to the account.
    :param key: the key.
    :param triggerer: the name of the triggerer.
    :param slots: the slot clock that all users of the key share.
    """

    def __init__(self, network: Network, key: str, triggerer: str, slots: MemoryStore) -> None:
        loop = asyncio.get_running_loop()
        self._network = network
        self._key = key
        self._triggerer = triggerer
        self._limiter = RateLimiter(slots, interval=SLOT_SECONDS, clock=loop.time)
        self._open_until = float("-inf")
        self._rng = random.Random(f"{triggerer} {key}")

    @property
    def account(self) -> str:
        """The fingerprint of the key."""
        return f"fingerprint of {self._key}"

    @property
    def account_name(self) -> str:
        """The name of the account, which does not depend on the key."""
        return self._network.account

    @property
    def route(self) -> str:
        """There is one route to each account."""
        return self.account

    def close(self) -> None:
        """Close the connections. They are opened again when needed."""
        self._open_until = float("-inf")

    async def _hand_over(self) -> None:
        """Take the time of passing a step to a thread. Otherwise, exact one-second polls would win every slot."""
        await asyncio.sleep(self._rng.uniform(*HAND_OVER_SECONDS))

    async def send_async(
        self, request: Request[T], *, max_wait_seconds: float | None = None, max_attempts: int | None = None
    ) -> T:
        """Wait for a slot, send once, and parse the response."""
        assert max_attempts == 1, "the poller itself retries calls"
        assert request.method == "GET", "waiting only reads"
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        rounds = 0
        await self._hand_over()
        while True:
            warm = loop.time() < self._open_until
            slot = self._limiter.try_acquire(warm=warm, has_waited=rounds > 0)
            if not isinstance(slot, SlotBusy):
                break
            seconds = self._limiter.pause(slot, rounds)
            rounds += 1
            if max_wait_seconds is not None and loop.time() + seconds > asked_at + max_wait_seconds:
                raise RateLimitError("not sent: the next request is too far away", retry_after=seconds)
            await asyncio.sleep(seconds)
            await self._hand_over()
        kind, numbers, name = _about(request)
        call = Call(
            self._triggerer,
            self._network.account,
            self._key,
            kind,
            numbers,
            name,
            request.target,
            asked_at,
            loop.time(),
        )
        answer = self._network.begin(
            call, request.path, request.query, warm=warm, answered=lambda: self._limiter.release(slot, warm=warm)
        )
        try:
            reply = await answer
            self._open_until = loop.time() + STAYS_OPEN
            result = parse_response(request, reply.status, reply.headers, reply.body)
        except TrackingMoreError as error:
            call.result, call.error = "failed", type(error).__name__
            if isinstance(error, RateLimitError):
                call.result, call.cool_down = "limited", max(COOL_DOWN_SECONDS, error.retry_after or 0.0)
                error.retry_after = call.cool_down  # as the client says it
                self._limiter.penalize(call.cool_down)
            elif isinstance(error, TrackingNotFoundError):
                call.result = "ok"
            elif error.code in REFUSALS and not call.cause.startswith("html"):
                call.result = "refused"
            raise
        else:
            call.result, call.shown = "ok", reply.shown
            return result
        finally:
            call.ended_at = loop.time()


def _about(request: Request[T]) -> tuple[str, frozenset[str], Name | None]:
    if "numbers" in request.query:
        return "numbers", frozenset(number.casefold() for number in request.query["numbers"].split(",")), None
    if request.query.get("limit") == "1":
        return "probe", frozenset(), None
    if request.path == "/trackings/get":
        return ("change" if "update_time_min" in request.query else "list"), frozenset(), None
    _, _, carrier, number = request.path.split("/")
    name = name_of(unquote(carrier), unquote(number))
    return "get", frozenset([name[1]]), name
