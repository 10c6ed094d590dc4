"""Nights of loads that are killed, while the shipments change."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.chaos.kill_points import REPAIR
from tests.chaos.killed_loads import LoadRunner
from tests.chaos.load_checker import CompletedLoad, Loaded
from tests.chaos.random_changes import RandomChanges

NIGHTS = 14
"""How many nights all kills take, if every load reaches the point at which it is killed."""
MAX_NIGHTS = 40


@dataclass
class Loader:
    """A loader, and the results of its loads.

    :param name: for the table.
    :param order: which loader of ``killed_loads``.
    :param arguments: its arguments.
    :param kills: how many times it is killed in all, spread over :data:`NIGHTS` nights.
    :param named_points: its calls and its commit: one kill in five is at one of them.
    :param read: reads what it has stored.
    :param store: where it stores it; None for the usual loaders, of which completed runs count.
    :param repairs: after how many kills it could not go on until somebody repaired it.
    """

    name: str
    order: str
    arguments: dict[str, Any]
    kills: int
    named_points: tuple[str, ...]
    read: Callable[[], Loaded]
    store: Any = None
    killed_at: list[str] = field(default_factory=list)
    loads: list[CompletedLoad] = field(default_factory=list)
    completed: int = 0
    committed_by_killed: int = 0
    repairs: int = 0
    plan: list[float | str] = field(default_factory=list)
    points: int = 60
    sequence: int = 0
    digest: str | None = None

    def draw_plan(self, rng: random.Random) -> None:
        """Draw where it is killed: shares of a load that cover all of it, in random order, and the named points."""
        named = [self.named_points[number % len(self.named_points)] for number in range(self.kills // 5)]
        others = self.kills - len(named)
        self.plan = [*named, *((number + 0.5) / others for number in range(others))]
        rng.shuffle(self.plan)


class Nights:
    """All loaders, one sandbox, night after night."""

    def __init__(self, sandbox: SandboxProcess, runner: LoadRunner, loaders: list[Loader], seed: int) -> None:
        self.sandbox, self.runner, self.loaders = sandbox, runner, loaders
        self.changes = RandomChanges(sandbox, seed)
        self.number = 0
        for loader in loaders:
            loader.draw_plan(random.Random(seed))

    def run(self) -> list[tuple[str, str]]:
        """Run nights until all kills are done, and a last one in which nothing happens between the loads.

        :return: the shipments that are registered at the end.
        """
        self.changes.register(120, (0, 40))
        while any(loader.plan for loader in self.loaders):
            self.number += 1
            assert self.number < MAX_NIGHTS, "the loads end before they can be killed"
            self.sandbox.advance(hours=20)
            self.changes.register(5)
            self.changes.change(10)
            for loader in self.loaders:
                for _ in range(-(-loader.kills // NIGHTS)):
                    self._load(loader, loader.plan.pop() if loader.plan else None)
                    self.sandbox.advance(minutes=10)
                    self.changes.change(2)
                self._load(loader, None)
            print(
                f"night {self.number}: {sum(len(loader.killed_at) for loader in self.loaders)} loads killed", flush=True
            )
        self.sandbox.advance(hours=20)
        self.changes.change(10)
        for loader in self.loaders:
            self._load(loader, None)
        return self.changes.registered()

    def refresh(self, loaders: list[Loader]) -> None:
        """Read everything again."""
        self.sandbox.advance(minutes=10)
        self.changes.read_everything()
        for loader in loaders:
            loader.arguments = {**loader.arguments, "full_refresh": True}
            self._load(loader, None)

    def _load(self, loader: Loader, where: float | str | None) -> None:
        """Run a load. If it ends before the point is reached, the kill is done in a later one."""
        kill_at = where if where is None or isinstance(where, str) else 1 + int(where * loader.points)
        now: str = self.sandbox.clock()["now"]
        first = self.sandbox.last_serial() + 1
        outcome = self.runner.run(loader.order, loader.arguments, now, kill_at)
        has_committed = not outcome.was_killed
        loader.repairs += outcome.points.count(REPAIR)
        if loader.store:
            has_committed = loader.store.sequence() > loader.sequence
            loader.sequence, digest = loader.store.sequence(), loader.store.digest()
            assert has_committed or outcome.was_killed
            assert has_committed or digest == loader.digest, f"a part was written: {outcome.points[-1]}"
            loader.digest = digest
        if outcome.was_killed:
            loader.killed_at.append(outcome.points[-1])
            loader.committed_by_killed += has_committed
        else:
            loader.completed += 1
            loader.points = len(outcome.points)
            if where is not None:
                loader.plan.insert(0, where)
        if has_committed:
            loader.loads.append(CompletedLoad(first, self.sandbox.last_serial(), datetime.fromisoformat(now)))
