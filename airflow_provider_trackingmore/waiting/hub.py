"""Many waits, few calls: one polling loop per account in a process and event loop.

Triggers join with their shipments and are handed what concerns them. The loop asks for all members that are due in
calls of 40 numbers, whoever they belong to. It knows when to ask; what an answer means for a wait is the gate's.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self, TypeAlias
from weakref import WeakKeyDictionary

from airflow_provider_trackingmore.api.batching import look
from airflow_provider_trackingmore.api.errors import Retry, TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.driving import adrive

log = logging.getLogger(__name__)

News: TypeAlias = Mapping[ShipmentKey, Tracking | None]
"""What a look has found; None for a shipment that is not registered."""

SHORTEST_INTERVAL = 0.05
TOGETHER = 0.1
"""Members whose turn comes within this share of their interval are asked for in the same round."""
AT_ONCE = 200
"""After news of so many shipments the event loop may see to others: reading one takes some 30 microseconds."""
ROUNDING = 1e-6
"""The tick before a tick must not be the same one, though computed times are off by a little."""
FIRST_BACK_OFF = 5.0
LONGEST_BACK_OFF = 300.0


class Member:
    """One wait in the hub. Used in a ``with`` block: leaving it leaves the hub, however it ends.

    :param hub: the hub.
    :param keys: the shipments asked for; may be narrowed while waiting.
    :param interval: seconds between looks.
    :param due: when it is this member's turn, on the hub's clock.
    """

    def __init__(self, hub: Hub, keys: Iterable[ShipmentKey], interval: float, due: float) -> None:
        self.keys = tuple(keys)
        self.interval = interval
        self.due = due
        self._hub = hub
        self._news: asyncio.Queue[News | TrackingMoreError] = asyncio.Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._hub.leave(self)

    async def news(self, within: float | None) -> News | None:
        """Wait for the next look at this member's shipments.

        :param within: seconds; None: however long it takes.
        :return: what was found; None when the time is up first.
        :raises TrackingMoreError: when the account cannot be asked any more (a wrong key, say).
        """
        try:
            async with asyncio.timeout(within):
                item = await self._news.get()
        except TimeoutError:
            return None
        if isinstance(item, TrackingMoreError):
            raise item
        return item

    def tell(self, item: News | TrackingMoreError) -> None:
        """Hand over what was found, or why nothing can be found."""
        self._news.put_nowait(item)


class Hub:
    """The polling loop of one account. The first member starts it, the last one to leave ends it.

    :param client: the account's client; closed with the loop.
    """

    def __init__(self, client: TrackingMoreClient) -> None:
        self._client = client
        self._members: set[Member] = set()
        self._joined = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._failures = 0

    def join(self, keys: Iterable[ShipmentKey], interval: float) -> Member:
        """Take part.

        :param keys: the shipments.
        :param interval: seconds between looks; each member is served at least this often.
        :return: the membership, to be used in a ``with`` block.
        """
        interval = max(interval, SHORTEST_INTERVAL)
        member = Member(self, keys, interval, self._next_turn(interval, self._clock()))
        self._members.add(member)
        self._joined.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._poll(), name="trackingmore-hub")
        return member

    def leave(self, member: Member) -> None:
        """Take no part any more."""
        self._members.discard(member)
        if not self._members and self._task is not None:
            self._task.cancel()
            self._task = None
            self._client.close()
            _forget(self)

    def _next_turn(self, interval: float, after: float) -> float:
        """The next tick of a clock that all members with this interval share: so their calls are shared too."""
        ticks = math.floor((after - self._began) / interval + ROUNDING)
        return self._began + interval * (ticks + 1)

    async def _poll(self) -> None:
        while True:
            wait = min((member.due for member in self._members), default=math.inf) - self._clock()
            if wait > 0:
                self._joined.clear()
                try:
                    async with asyncio.timeout(None if math.isinf(wait) else wait):
                        await self._joined.wait()
                except TimeoutError:
                    pass
                continue
            await self._round()

    async def _round(self) -> None:
        now = self._clock()
        due = [member for member in self._members if member.due <= now + TOGETHER * member.interval]
        keys = {key: None for member in due for key in member.keys}
        try:
            found = await adrive(look(keys), self._client)
        except TrackingMoreError as error:
            self._failed(due, error)
            return
        except Exception as error:  # a bug must end the waits with a reason, not leave them waiting for ever
            log.exception("The polling loop of this account failed")
            self._end_all(TrackingMoreError(f"the polling loop failed: {type(error).__name__}"))
            return
        self._failures = 0
        now = self._clock()
        told = 0
        for member in due:
            # One that was asked for a little early has had the turn that it was early for.
            member.due = self._next_turn(member.interval, max(now, member.due))
            member.tell({key: found[key] for key in member.keys if key in found})
            told += len(member.keys)
            if told >= AT_ONCE:
                told = 0
                await asyncio.sleep(0)

    def _failed(self, due: Iterable[Member], error: TrackingMoreError) -> None:
        if error.retry is Retry.NEVER:
            self._end_all(error)
            return
        self._failures += 1
        back_off = min(FIRST_BACK_OFF * 2 ** min(self._failures - 1, 10), LONGEST_BACK_OFF) * random.uniform(0.5, 1)  # noqa: S311
        back_off = max(back_off, error.retry_after or 0.0)
        if self._failures.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ... in a row
            log.warning(
                "Look number %d in a row failed, %d waits go on and look again in %.0f s: %s",
                self._failures,
                len(self._members),
                back_off,
                error,
            )
        now = self._clock()
        for member in due:
            turn = self._next_turn(member.interval, max(now, member.due))
            member.due = max(now + back_off, turn if back_off < member.interval else 0.0)

    def _end_all(self, error: TrackingMoreError) -> None:
        for member in list(self._members):
            member.due = math.inf
            member.tell(error)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Hub]] = WeakKeyDictionary()


def hub_of(client: TrackingMoreClient) -> Hub:
    """Find the hub of an account in the running event loop, or make it.

    :param client: a client of the account; the hub keeps the first one it is given and closes the others.
    :return: the hub.
    """
    hubs = _hubs.setdefault(asyncio.get_running_loop(), {})
    account = client.settings.fingerprint
    if account in hubs:
        client.close()
    else:
        hubs[account] = Hub(client)
    return hubs[account]


def _forget(hub: Hub) -> None:
    for hubs in list(_hubs.values()):  # other threads may have loops of their own
        for account, known in list(hubs.items()):
            if known is hub:
                del hubs[account]
