"""Run a scenario on virtual time: triggerers start and die, waits join, leave and restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.client.rate_limit.stores import MemoryStore
from tests.simulation import loop as virtual
from tests.simulation.loop import EPOCH, VirtualLoop
from tests.simulation.network import Call, Network
from tests.simulation.parcels import Name, name_of
from tests.simulation.scenario import AccountPlan, Scenario, WaitPlan
from tests.simulation.sender import Sender
from tests.simulation.vendor import Vendor
from tests.simulation.watcher_plans import WatcherPlan

Change = dict[str, Any]
"""A change as a watcher reports it."""

CONNECT_SECONDS = 0.05
"""The longest time that reading an Airflow connection takes."""


class Engine(Protocol):
    """The code under test."""

    def sizes_of_calls(self, numbers: int, rows: int) -> contextlib.AbstractContextManager[None]:
        """Set how many numbers a call takes, and how many rows a page has."""

    def make_pollers(self, *, clock: Callable[[], float], rng: random.Random) -> Any:
        """Create the pollers of one triggerer process."""

    def make_spec(self, options: dict[str, Any]) -> Any:
        """Validate the options of a wait."""

    def read_spec(self, stored: Any) -> Any:
        """Read the stored form of a wait."""

    def check_now(self, pollers: Any, account: str, names: Iterable[Name]) -> None:
        """Pass the shipments that webhooks have named to the pollers of an account."""

    def run_wait(
        self, spec: Any, connect: Callable[[], Awaitable[Sender]], *, pollers: Any, clock: Callable[[], float]
    ) -> Awaitable[Any]:
        """Run a wait."""

    def run_watcher(
        self,
        plan: WatcherPlan,
        connect: Callable[[], Awaitable[Sender]],
        *,
        pollers: Any,
        clock: Callable[[], float],
        rng: random.Random,
        storage: Storage,
        report: Callable[[Change], None],
    ) -> Awaitable[None]:
        """Run a watcher, which never ends by itself."""


class Storage:
    """Stores the state of one watcher, as Airflow does. It outlives triggerers.

    :param clock: seconds of the loop.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._values: dict[str, Any] = {}
        self.first_stored_at = float("inf")

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return the value of a key."""
        return self._values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        """Set the value of a key."""
        self.first_stored_at = min(self.first_stored_at, self._clock())
        self._values[key] = value


@dataclass(frozen=True)
class Reported:
    """A change that a watcher has reported.

    :param at: when it was reported.
    :param id: its identity, by which it is known if it is reported again.
    :param name: the shipment.
    :param status: its new status.
    """

    at: float
    id: str
    name: Name
    status: str


@dataclass(eq=False)
class WatchSession:
    """One run of a watcher in one life of a triggerer.

    :param ended: ``crashed``, ``cancelled`` or ``killed``.
    :param keys: when it read the connection, and the key that it got.
    :param reports: the changes that it has reported, in order.
    """

    plan: WatcherPlan
    triggerer: str
    begins: float
    ends: float = float("inf")
    ended: str = ""
    error: BaseException | None = None
    keys: list[tuple[float, str]] = field(default_factory=list)
    reports: list[Reported] = field(default_factory=list)


@dataclass
class Watcher:
    """One watcher.

    :param plan: its plan.
    :param storage: its state.
    :param sessions: its runs, one after the other.
    """

    plan: WatcherPlan
    storage: Storage
    sessions: list[WatchSession] = field(default_factory=list)


@dataclass(eq=False)
class Session:
    """One run of a wait in one life of a triggerer.

    :param ended: ``verdict``, ``refused``, ``crashed``, ``cancelled`` or ``killed``.
    :param keys: when it read the connection, and the key that it got.
    """

    plan: WaitPlan
    triggerer: str
    begins: float
    first_check_at: float | None
    ends: float = float("inf")
    ended: str = ""
    verdict: Any = None
    error: BaseException | None = None
    keys: list[tuple[float, str]] = field(default_factory=list)


@dataclass
class Record:
    """Everything that happened in a run."""

    scenario: Scenario
    vendors: dict[str, Vendor]
    calls: list[Call]
    sessions: list[Session]
    complaints: list[str]
    ended_at: float
    watchers: list[Watcher] = field(default_factory=list)


class _Triggerer:
    """The triggerer processes with one number, one after the other."""

    def __init__(self, run: ScenarioRun, number: int) -> None:
        self._run = run
        self.number = number
        self.life = 0
        self.running: dict[asyncio.Task[Any], Session | WatchSession] = {}
        self.up = asyncio.Event()
        self.other: int | None = None
        self.start()

    @property
    def name(self) -> str:
        return f"triggerer {self.number}.{self.life}"

    def start(self) -> None:
        self.life += 1
        rng = random.Random(f"{self._run.scenario.seed} {self.name}")
        self.pollers = self._run.engine.make_pollers(clock=self._run.loop.unix_time, rng=rng)
        self.up.set()

    def kill(self) -> None:
        self.up.clear()
        for task, session in list(self.running.items()):
            session.ended = "killed"
            task.cancel()


class ScenarioRun:
    """A scenario that is running.

    :param scenario: the scenario.
    :param engine: the code under test.
    """

    def __init__(self, scenario: Scenario, engine: Engine) -> None:
        self.scenario = scenario
        self.engine = engine
        self.loop: VirtualLoop = asyncio.get_running_loop()  # type: ignore[assignment]
        self.accounts = {plan.name: plan for plan in scenario.accounts}
        self.networks = {plan.name: _network(scenario, plan) for plan in scenario.accounts}
        self.slots = {key: MemoryStore() for plan in scenario.accounts for key in plan.keys}
        self.sessions: list[Session] = []
        self.watchers = [Watcher(plan, Storage(self.loop.time)) for plan in scenario.watchers]
        self.triggerers = [_Triggerer(self, number) for number in range(len(scenario.outages))]

    async def execute(self) -> None:
        """Execute the scenario."""
        ending = [asyncio.ensure_future(self._outages(triggerer)) for triggerer in self.triggerers]
        ending.append(asyncio.ensure_future(self._hints()))
        waits = [self._wait(plan) for plan in self.scenario.waits]
        await asyncio.gather(*waits, *(self._watch(watcher) for watcher in self.watchers))
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.sleep(60.0)  # calls that are left behind show by then

    async def _until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - self.loop.time()))

    async def _hints(self) -> None:
        for hint in self.scenario.hints:
            await self._until(hint.at)
            for triggerer in self.triggerers:
                if triggerer.up.is_set():
                    self.engine.check_now(triggerer.pollers, hint.account, hint.names)

    async def _outages(self, triggerer: _Triggerer) -> None:
        for begins, ends, other in self.scenario.outages[triggerer.number]:
            await self._until(begins)
            triggerer.other = other
            triggerer.kill()
            await self._until(ends)
            triggerer.start()

    async def _wait(self, plan: WaitPlan) -> None:
        rng = random.Random(f"{self.scenario.seed} {plan.name}")
        await self._until(plan.joins_at)
        stored = json.dumps(self.engine.make_spec(_in_unix_time(plan.options)).to_dict())
        while self.loop.time() < plan.cancelled_at:
            triggerer = await self._triggerer(plan, rng)
            if triggerer is not None and not await self._session(plan, json.loads(stored), triggerer, rng):
                return

    async def _watch(self, watcher: Watcher) -> None:
        plan = watcher.plan
        rng = random.Random(f"{self.scenario.seed} {plan.name}")
        await self._until(plan.joins_at)
        while self.loop.time() < plan.cancelled_at:
            triggerer = await self._triggerer(plan, rng)
            if triggerer is not None and not await self._watch_session(watcher, triggerer, rng):
                return

    async def _triggerer(self, plan: WaitPlan | WatcherPlan, rng: random.Random) -> _Triggerer | None:
        """Return the triggerer that runs a wait or a watcher; None, after a while, if it is down."""
        triggerer = self.triggerers[plan.triggerer]
        if triggerer.up.is_set():
            return triggerer
        other = triggerer.other
        if other is not None and self.triggerers[other].up.is_set():
            await asyncio.sleep(rng.uniform(5, 40))
            return self.triggerers[other] if self.triggerers[other].up.is_set() else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, plan.cancelled_at - self.loop.time())):
                await triggerer.up.wait()
        await asyncio.sleep(rng.uniform(0, 3))
        return None

    async def _session(self, plan: WaitPlan, stored: Any, triggerer: _Triggerer, rng: random.Random) -> bool:
        """Run the wait in this triggerer, and tell whether it must continue in another."""
        session = Session(plan, triggerer.name, self.loop.time(), plan.options.get("first_check_at"))
        self.sessions.append(session)

        connect = self._connection(session, triggerer, rng)

        async def body() -> Any:
            return await self.engine.run_wait(
                self.engine.read_spec(stored), connect, pollers=triggerer.pollers, clock=self.loop.unix_time
            )

        task = asyncio.ensure_future(body())
        if not await self._run_session(session, task, triggerer):
            return False
        if task.cancelled():
            session.ended = session.ended or "crashed"
            return session.ended == "killed"
        session.error = task.exception()
        if session.error is None:
            session.ended, session.verdict = "verdict", task.result()
        else:
            session.ended = "refused" if isinstance(session.error, TrackingMoreError) else "crashed"
        return False

    async def _watch_session(self, watcher: Watcher, triggerer: _Triggerer, rng: random.Random) -> bool:
        """Run the watcher in this triggerer, and tell whether it must continue in another."""
        session = WatchSession(watcher.plan, triggerer.name, self.loop.time())
        watcher.sessions.append(session)

        def report(change: Change) -> None:
            name = name_of(change["carrier_code"], change["tracking_number"])
            session.reports.append(Reported(self.loop.time(), change["id"], name, change["status"]))

        async def body() -> None:
            await self.engine.run_watcher(
                watcher.plan,
                self._connection(session, triggerer, rng),
                pollers=triggerer.pollers,
                clock=self.loop.unix_time,
                rng=rng,
                storage=watcher.storage,
                report=report,
            )

        task = asyncio.ensure_future(body())
        if not await self._run_session(session, task, triggerer):
            return False
        if not task.cancelled():
            session.ended, session.error = "crashed", task.exception()
        session.ended = session.ended or "crashed"
        return session.ended == "killed"

    def _connection(
        self, session: Session | WatchSession, triggerer: _Triggerer, rng: random.Random
    ) -> Callable[[], Awaitable[Sender]]:
        account = session.plan.account

        async def connect() -> Sender:
            await asyncio.sleep(rng.uniform(0.0, CONNECT_SECONDS))
            key = self.accounts[account].key_at(self.loop.time())
            session.keys.append((self.loop.time(), key))
            return Sender(self.networks[account], key, triggerer.name, self.slots[key])

        return connect

    async def _run_session(
        self, session: Session | WatchSession, task: asyncio.Task[Any], triggerer: _Triggerer
    ) -> bool:
        """Wait for the end of a task. If its plan ends before, cancel it and return False."""
        plan = session.plan
        task.set_name(plan.name)
        triggerer.running[task] = session
        try:
            await asyncio.wait({task}, timeout=max(0.0, plan.cancelled_at - self.loop.time()))
            session.ends = self.loop.time()
            if not task.done():
                session.ended = "cancelled"
                task.cancel()
                await asyncio.wait({task})
                return False
        finally:
            del triggerer.running[task]
        return True


def _in_unix_time(options: dict[str, Any]) -> dict[str, Any]:
    moments = {name: EPOCH + options[name] for name in ("deadline", "first_check_at") if options.get(name) is not None}
    return {**options, **moments}


def _network(scenario: Scenario, plan: AccountPlan) -> Network:
    rng = random.Random(f"{scenario.seed} network {plan.name}")
    vendor = Vendor(plan.habits, plan.parcels, plan.keys)
    return Network(vendor, plan.name, rng, plan.latency, plan.faults)


def simulate(scenario: Scenario, engine: Engine) -> Record:
    """Run a scenario to its end.

    :param scenario: the scenario, which cannot be used again.
    :param engine: the code under test.
    :return: what happened.
    """

    async def main() -> ScenarioRun:
        run = ScenarioRun(scenario, engine)
        await run.execute()
        return run

    before = random.getstate()
    random.seed(f"{scenario.seed} everybody else")  # the rate limiter uses the module's generator
    try:
        with engine.sizes_of_calls(scenario.numbers_in_one_call, scenario.rows_in_one_call):
            run, complaints = virtual.run(main())
    finally:
        random.setstate(before)
    calls = sorted((call for net in run.networks.values() for call in net.calls), key=lambda call: call.departed_at)
    vendors = {name: network.vendor for name, network in run.networks.items()}
    return Record(scenario, vendors, calls, run.sessions, complaints, run.loop.time(), run.watchers)
