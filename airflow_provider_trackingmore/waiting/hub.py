"""Many waits, few calls: one polling loop per account in a process and event loop.

Triggers join with their shipments and are told what concerns them. The loop asks for all that are due, whoever they
belong to, in the way that :mod:`.planner` finds cheapest. It knows when to ask; what an answer means for a wait is the
gate's.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.arguments import ListFilters
from airflow_provider_trackingmore.api.batching import filter_chunks, look
from airflow_provider_trackingmore.api.errors import Retry, TrackingMoreError
from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.api.models import ShipmentKey, Tracking
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from airflow_provider_trackingmore.client.driving import adrive
from airflow_provider_trackingmore.waiting.members import Folded, Member, Watched, folded
from airflow_provider_trackingmore.waiting.outcomes import Outcome
from airflow_provider_trackingmore.waiting.planner import (
    RECONCILE_SECONDS,
    filled_up,
    number_calls,
    pages,
    plan,
    spread,
)
from airflow_provider_trackingmore.waiting.turns import Turn

log = logging.getLogger(__name__)

SHORTEST_INTERVAL = 0.05
TOGETHER = 0.1
"""Intervals whose turn comes within this share of their length are served in the same round."""
AT_ONCE = 20
"""After so many rows the event loop may see to others: each row may wake a wait, which takes a millisecond."""
OVERLAP_SECONDS = 30.0
"""Changes are asked for from so long before the newest one that was seen: the vendor may note one late."""
A_DAY = 86_400.0
ENDLESS = 10**9
"""Rows of a list that does not say how long it is."""
ASK_AGAIN_SECONDS = 6 * 3600.0
"""A way that turned out longer than another is tried again after this."""
FIRST_BACK_OFF = 5.0
LONGEST_BACK_OFF = 300.0


class Hub:
    """The polling loop of one account. The first member starts it, the last one to leave ends it.

    :param client: the account's client; closed with the loop.
    """

    def __init__(self, client: TrackingMoreClient) -> None:
        self.client = client
        self._turns: dict[float, Turn] = {}
        self._watched: dict[Folded, Watched] = {}
        self._joined = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._clock = asyncio.get_running_loop().time
        self._failures = 0
        self._silent_until = -math.inf
        self._list: tuple[float, int, float] | None = None  # created since, rows, when that was seen
        # No change that this hub has not heard of is older than this, by the vendor's clock.
        self._changed_until: float | None = None
        self._changed = 0
        self._changes_again_at = -math.inf
        self._newest: float | None = None

    def join(
        self,
        keys: Iterable[ShipmentKey],
        interval: float,
        *,
        look_in: float | None = None,
        reconcile_seconds: float = RECONCILE_SECONDS,
    ) -> Member:
        """Take part.

        :param keys: the shipments.
        :param interval: seconds between looks; each member is served at least this often.
        :param look_in: seconds until the first look, 0 or less for one as soon as others had time to join; None: the
            shipments have just been looked at, so an interval from now at the latest.
        :param reconcile_seconds: longest time between two looks that do not rely on news by change.
        :return: the membership, to be used in a ``with`` block.
        """
        interval = max(interval, SHORTEST_INTERVAL)
        now = self._clock()
        member = Member(keys, interval, self._let_go)
        turn = self._turns.setdefault(interval, Turn())
        turn.members[member] = None
        turn.reconcile_seconds = min(turn.reconcile_seconds, reconcile_seconds)
        turn.join(now, interval if look_in is None else look_in, interval)
        for key in member.keys:
            watched = self._watched.setdefault(folded(key), Watched(key))
            watched.members[member] = key
            if watched.fact is not None and now - watched.looked_at <= interval:
                member.tell(key, watched.fact)
        self._tell_waits()
        self._joined.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._poll(), name="trackingmore-hub")
        return member

    def _let_go(self, member: Member, keys: Iterable[ShipmentKey]) -> None:
        for key in keys:
            watched = self._watched.get(folded(key))
            if watched is not None:
                watched.members.pop(member, None)
                if not watched.members:
                    del self._watched[folded(key)]
        turn = self._turns.get(member.interval)
        if not member.keys and turn is not None:
            turn.members.pop(member, None)
            self._tell_waits()
            if not turn.members:
                del self._turns[member.interval]
        if not self._turns and self._task is not None:
            self._task.cancel()
            self._task = None
            self.client.close()
            _forget(self)

    def _tell_waits(self) -> None:
        """How many waits this process has, of all accounts: the metric does not tell accounts apart."""
        hubs = [hub for known in list(_hubs.values()) for hub in list(known.values())]
        open_waits = sum(len(turn.members) for hub in hubs for turn in list(hub._turns.values()))
        self.client.observer.gauge("waits.open", open_waits)

    async def _poll(self) -> None:
        while True:
            due = min((turn.due for turn in self._turns.values()), default=math.inf)
            wait = max(due, self._silent_until) - self._clock()
            if wait > 0:
                self._joined.clear()
                try:
                    async with asyncio.timeout(None if math.isinf(wait) else wait):
                        await self._joined.wait()
                except TimeoutError:
                    pass
                continue
            began, calls = self._clock(), self.client.statistics.requests
            await self._round()
            self.client.observer.timing("waits.cycle", self._clock() - began)
            self.client.observer.gauge("waits.calls", self.client.statistics.requests - calls)
            self.client.observer.gauge("waits.failed_looks", self._failures)
            self._tell_waits()

    async def _round(self) -> None:
        now = self._clock()
        due = {interval: turn for interval, turn in self._turns.items() if turn.due <= now + TOGETHER * interval}
        for turn in due.values():
            turn.begin()
        self._newest = None
        try:
            await self._look_at(due)
        except TrackingMoreError as error:
            self._failed(due.values(), error)
            return
        except Exception as error:  # a bug must end the waits with a reason, not leave them waiting for ever
            log.exception("The polling loop of account %s failed", self.client.settings.fingerprint)
            self._end_all(TrackingMoreError(f"the polling loop failed: {type(error).__name__}"))
            return
        self._failures = 0
        for interval, turn in due.items():
            # Its own tick, which the time that a round takes does not move; what was missed meanwhile is missed.
            turn.tick += interval * max(1, math.ceil((self._clock() - turn.tick) / interval))

    # One round -------------------------------------------------------------------------------------------------------

    async def _look_at(self, due: dict[float, Turn]) -> None:
        began = self._clock()
        until = began + min(due)
        reconcile_seconds = min(turn.reconcile_seconds for turn in due.values())
        look_by: dict[Folded, float] = {}
        oldest = math.inf
        async for name in _slowly(name for turn in due.values() for m in list(turn.members) for name in _names(m)):
            if (watched := self._watched.get(name[0])) is not None:
                look_by[name[0]] = -math.inf if name[1] else min(watched.look_by, look_by.get(name[0], math.inf))
                if watched.created is not None:
                    oldest = min(oldest, watched.created)
        if not look_by:
            return
        stale = filled_up(look_by, until)
        # When the oldest was registered of which that is known; what a list from then on leaves out is asked for.
        since = max(oldest - 60.0, 0.0) if math.isfinite(oldest) else 0.0
        rows = self._rows(since)
        can_ask = self._changed_until is not None and began >= self._changes_again_at
        planned = plan(
            len(look_by),
            len(stale),
            rows=rows,
            changed=self._changed if can_ask else None,
        )
        wanted = stale if planned.by_change else list(look_by)
        if planned.by_change and not await self._by_change(len(look_by)):
            planned = plan(len(look_by), len(look_by), rows=rows, changed=None)
            wanted = list(look_by)
        everything = len(wanted) == len(self._watched)
        if planned.by_list and wanted:
            await self._by_list(since, planned.list_calls, reconcile_seconds)
            wanted = [name for name in wanted if name in self._watched and self._watched[name].looked_at < began]
        await self._by_number(wanted, reconcile_seconds)
        if everything and self._newest is not None:
            self._changed_until = max(self._newest, self._changed_until or 0.0)
        log.debug(
            "Looked at %d shipments: %s%s", len(look_by), "by change, " * planned.by_change, f"{len(wanted)} by number"
        )

    def _there(self, names: Iterable[Folded]) -> Iterator[Watched]:
        """Those that somebody still waits for: members may leave while a call is under way."""
        return (self._watched[name] for name in names if name in self._watched)

    def _rows(self, since: float) -> int | None:
        """How many rows the list has, at most; None when nobody has looked for long, or only at a much longer one."""
        if self._list is None or self._list[0] > since or self._clock() > self._list[2] + ASK_AGAIN_SECONDS:
            return None
        return self._list[1] if self._list[1] <= PAGE_SIZE or since <= self._list[0] + A_DAY else None

    async def _by_change(self, due: int) -> bool:
        """Hear what has changed.

        :return: False if that is more than looking at the ``due`` shipments themselves would bring.
        """
        assert self._changed_until is not None  # noqa: S101 - the plan says so
        since = self._changed_until - OVERLAP_SECONDS
        newest = self._changed_until
        number = 0
        while True:
            number += 1
            page = await self._ask({"update_time_min": int(max(0.0, since))}, number)
            total = len(page.items) if page.total is None else page.total
            if number == 1 and 1 < pages(total) >= number_calls(due):
                self._changes_again_at = self._clock() + RECONCILE_SECONDS
                return False
            newest = max(newest, await self._heard(page.items))
            if len(page.items) < PAGE_SIZE or number >= pages(total):
                self._changed, self._changed_until = total, newest
                return True

    async def _by_list(self, since: float, most_calls: int, reconcile_seconds: float) -> None:
        """Go through the list, or as much of it as is worth it."""
        filters: ListFilters = {"created_at_min": int(since)} if since else {}
        for number in count(1):
            page = await self._ask(filters, number)
            total = page.total
            if number == 1:
                self._list = since, ENDLESS if total is None else total, self._clock()
            self._note_newest(await self._heard(page.items, look_by=self._clock() + reconcile_seconds))
            if len(page.items) < PAGE_SIZE or (total is not None and number >= pages(total)):
                return
            if total is None or pages(total) > max(most_calls, number):
                return

    async def _by_number(self, names: Sequence[Folded], reconcile_seconds: float) -> None:
        alone = [[watched] for watched in self._there(names) if "," in watched.key.tracking_number]
        by_number: dict[str, list[Watched]] = {}
        for watched in self._there(names):
            if "," not in watched.key.tracking_number:
                by_number.setdefault(watched.key.tracking_number, []).append(watched)
        calls = [[one for number in chunk for one in by_number[number]] for chunk in filter_chunks(list(by_number))]
        calls += alone
        for at, call in enumerate(calls):
            keys = [watched.key for watched in call if watched.members]
            if not keys:
                continue
            found = await adrive(look(keys), self.client)
            rows = (tracking for tracking in found.values() if tracking is not None)
            self._note_newest(max(map(_changed_at, rows), default=0.0))
            look_by = spread(len(calls), at, now=self._clock(), reconcile_seconds=reconcile_seconds)
            for watched in call:
                if watched.key in found:
                    self._learned(watched, found[watched.key], look_by)

    async def _ask(self, filters: ListFilters, number: int) -> Any:
        return await self.client.asend(endpoints.list_page(filters, page=number))

    async def _heard(self, rows: Sequence[Tracking], *, look_by: float | None = None) -> float:
        """Take in rows; with ``look_by`` they are the whole truth, until then.

        :return: when the newest of them changed.
        """
        newest = 0.0
        async for row in _slowly(rows):
            newest = max(newest, _changed_at(row))
            if (watched := self._watched.get(folded(row.key))) is not None:
                self._learned(watched, row, look_by)
        return newest

    def _learned(self, watched: Watched, tracking: Tracking | None, look_by: float | None) -> None:
        if look_by is not None:
            watched.looked_at, watched.look_by = self._clock(), look_by
        if tracking is not None and tracking.created_at is not None:
            watched.created = tracking.created_at.timestamp()
        watched.tell(Outcome.of(watched.key, tracking, time.time()))

    def _note_newest(self, newest: float) -> None:
        """The newest change in the first answer of a round: whatever changes later is newer."""
        if self._newest is None:
            self._newest = newest or None
            if self._changed_until is None:
                self._changed_until = self._newest

    # When it fails ---------------------------------------------------------------------------------------------------

    def _failed(self, due: Iterable[Turn], error: TrackingMoreError) -> None:
        if error.retry is Retry.NEVER:
            self._end_all(error)
            return
        self._failures += 1
        back_off = min(FIRST_BACK_OFF * 2 ** min(self._failures - 1, 10), LONGEST_BACK_OFF) * random.uniform(0.5, 1)  # noqa: S311
        back_off = max(back_off, error.retry_after or 0.0)
        if self._failures.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ... in a row
            log.warning(
                "Look number %d in a row failed for account %s, %d waits go on and look again in %.0f s: %s",
                self._failures,
                self.client.settings.fingerprint,
                sum(len(turn.members) for turn in self._turns.values()),
                back_off,
                error,
            )
        self._silent_until = self._clock() + back_off
        for turn in due:
            turn.tick = self._silent_until

    def _end_all(self, error: TrackingMoreError) -> None:
        for turn in self._turns.values():
            turn.begin()
            turn.tick = math.inf
            for member in turn.members:
                member.end(error)


def _names(member: Member) -> Iterator[tuple[Folded, bool]]:
    """The member's shipments, and whether each must really be looked at."""
    return ((folded(key), key in member.fresh) for key in member.keys)


def _changed_at(row: Tracking) -> float:
    moment = row.updated_at or row.created_at
    return moment.timestamp() if moment is not None else 0.0


async def _slowly(things: Iterable[Any]) -> Any:
    """Go through many things, and let the event loop see to others in between."""
    for position, thing in enumerate(things, start=1):
        yield thing
        if position % AT_ONCE == 0:
            await asyncio.sleep(0)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Hub]] = WeakKeyDictionary()


def hub_of(client: TrackingMoreClient) -> Hub:
    """Find the hub of an account in the running event loop, or make it.

    :param client: a client of the account; the hub keeps the first one it is given and closes the others.
    :return: the hub.
    """
    hubs = _hubs.setdefault(asyncio.get_running_loop(), {})
    account = client.settings.fingerprint
    hub = hubs.setdefault(account, Hub(client))
    if hub.client is not client:
        client.close()
    return hub


def _forget(hub: Hub) -> None:
    for hubs in list(_hubs.values()):  # other threads may have loops of their own
        for account, known in list(hubs.items()):
            if known is hub:
                del hubs[account]
