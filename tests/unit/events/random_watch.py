"""A watcher of an account whose shipments change at random, in an Airflow that dies at any moment, on virtual time.

The feed, the poller and the store are real. Airflow stores an event some seconds after the trigger has yielded it. An
event that is not stored when Airflow dies is lost.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.events.changes import ShipmentChange, shipment_changes
from airflow_provider_trackingmore.events.rounds import Reporting
from airflow_provider_trackingmore.events.watch_state import WatchState
from airflow_provider_trackingmore.triggers.change_feed import STORE_SECONDS, ChangeFeed, WatchOptions
from airflow_provider_trackingmore.triggers.change_store import ChangeStore
from airflow_provider_trackingmore.waiting.pollers import Pollers
from tests.unit.loading.random_account import DAY, RandomAccount

T = TypeVar("T")
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


class LivingAccount:
    """The account, as the poller's sender. Its time is that of the event loop.

    :param rng: for everything that happens at random.
    """

    account = route = "0123456789abcdef"

    def __init__(self, rng: random.Random) -> None:
        self.vendor = RandomAccount(rng, START)
        self.is_calm = False
        self.failing = 0.0
        self._rng = rng

    def clock(self) -> float:
        """Unix seconds."""
        return START + asyncio.get_running_loop().time()

    def catch_up(self) -> None:
        """Let everything happen that is due by now."""
        elapsed = max(self.clock() - self.vendor.now, 0.0)
        if self.is_calm:
            self.vendor.now += elapsed
        else:
            self.vendor.live(elapsed / DAY)

    async def send_async(
        self, request: Request[T], *, max_wait_seconds: float | None = None, max_attempts: int | None = None
    ) -> T:
        self.catch_up()
        await asyncio.sleep(0.1)
        if self._rng.random() < self.failing:
            self.vendor.fail_at = 0
        try:
            answer: T = self.vendor.send(request)
        finally:
            self.vendor.fail_at = None
        return answer

    def close(self) -> None:
        """Nothing is open."""


class Storage:
    """Stores texts in memory, and sometimes dies before or after it has written one."""

    prefix = "state"

    def __init__(self, rng: random.Random, *, is_cheap: bool) -> None:
        self.texts: dict[str, str] = {}
        self.is_cheap = is_cheap
        self.dying = 0.0
        self.failing = 0.0
        self._rng = rng

    async def get(self, key: str) -> str | None:
        await self._delay()
        return self.texts.get(key)

    async def set(self, key: str, text: str) -> None:
        await self._delay()
        self.texts[key] = text
        await self._delay()

    async def _delay(self) -> None:
        await asyncio.sleep(self._rng.random() * 0.1)
        if self._rng.random() < self.dying:
            raise asyncio.CancelledError
        if self._rng.random() < self.failing:
            raise OSError("the API server is down")


class RandomWatch:
    """One watcher of one account.

    :param seed: for everything that happens at random.
    :param is_cheap: whether its storage can tell that another watcher has written, unlike Variables; None for random.
    """

    def __init__(self, seed: int, *, is_cheap: bool | None = None, **options: Any) -> None:
        self.rng = random.Random(seed)
        self.account = LivingAccount(self.rng)
        self.storage = Storage(self.rng, is_cheap=self.rng.random() < 0.5 if is_cheap is None else is_cheap)
        self.stored: list[Mapping[str, Any]] = []
        self.reconcile_seconds = self.rng.choice([1800.0, 7200.0])
        self.options = WatchOptions(
            name="shop",
            filters={},
            poke_interval=self.rng.choice([600.0, 1800.0]),
            reconcile_seconds=self.reconcile_seconds,
            max_changes_per_event=self.rng.choice([1, 3, 100]),
            reporting=Reporting("shop", include_existing=True, **options),
        )

    def store(self) -> ChangeStore:
        return ChangeStore(self.storage, self.options.name)

    async def run(self, seconds: float) -> None:
        """Run the trigger as a triggerer does, for some time or until it dies."""
        feed = ChangeFeed(
            self.options,
            self.store(),
            self._connect,
            Pollers(clock=self.account.clock, rng=self.rng),
            clock=self.account.clock,
            rng=self.rng,
        )
        loop = asyncio.get_running_loop()
        timers: list[asyncio.TimerHandle] = []

        async def trigger() -> None:
            while True:
                for payload in await feed.next_payloads():
                    extra = {"from_trigger": True, "payload": payload}
                    delay = self.rng.random() * STORE_SECONDS
                    timers.append(loop.call_later(delay, self.stored.append, {"extra": extra}))

        try:
            async with asyncio.timeout(seconds):
                await trigger()
        except (TimeoutError, asyncio.CancelledError):
            pass
        finally:
            for timer in timers:
                timer.cancel()
            feed.close()

    async def _connect(self) -> LivingAccount:
        return self.account

    async def live(self, lives: int, *, watchers: int = 1) -> None:
        """Run and die several times."""
        for _ in range(lives):
            self.storage.dying = self.rng.choice([0.0, 0.02, 0.3])
            self.storage.failing = self.rng.choice([0.0, 0.0, 0.1])
            self.account.failing = self.rng.choice([0.0, 0.0, 0.2])
            spans = [self.rng.expovariate(1) * 3600 * self.rng.choice([0.1, 1, 12]) for _ in range(watchers)]
            await asyncio.gather(*(self.run(span) for span in spans))
            if self.rng.random() < 0.3:
                await asyncio.sleep(self.rng.expovariate(1) * DAY * self.rng.choice([0.1, 5]))

    async def settle(self) -> WatchState:
        """Return the state once nothing changes or dies any more, and everything has been noticed."""
        self.account.catch_up()
        self.account.is_calm = True
        self.storage.dying = self.storage.failing = self.account.failing = 0.0
        await self.run(6 * self.reconcile_seconds)
        state, _ = await self.store().load()
        assert state is not None
        return state

    def reported(self) -> dict[ShipmentKey, list[ShipmentChange]]:
        """Return the changes of each shipment, as the consumer receives them."""
        found: dict[ShipmentKey, list[ShipmentChange]] = {}
        for change in shipment_changes(self.stored):
            found.setdefault(ShipmentKey(change["carrier_code"], change["tracking_number"]), []).append(change)
        return found
