"""The plan of a run, drawn from a seed: which process is killed, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, TypeAlias

Victim: TypeAlias = Literal["task", "task and its worker", "triggerer", "scheduler", "scheduler and its workers"]
Moment: TypeAlias = Literal["batch on its way", "batch applied", "waits"]

IN_REGISTRATION: tuple[Victim, ...] = ("task", "task and its worker", "scheduler", "scheduler and its workers")
IN_WAITS: tuple[Victim, ...] = ("task", "triggerer", "scheduler", "scheduler and its workers")


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill.

    :param victim: what gets SIGKILL; a scheduler without its workers leaves them, and their tasks, alive.
    :param moment: while the server has the batch, before or after it applied it; or while orders are waited for.
    :param settled: in the waits: how many orders are settled before the kill.
    :param after: seconds from there.
    :param hold: seconds for which the server keeps the batch, or its answer.
    :param down: seconds until a component is started again.
    """

    victim: Victim
    moment: Moment
    settled: int
    after: float
    hold: float
    down: float

    def __str__(self) -> str:
        if self.moment == "waits":
            when = f"{self.after:.1f} s after {self.settled} orders are settled"
        else:
            when = f"{self.moment}, {self.after:.1f} of {self.hold:.0f} s"
        return f"{self.victim}: {when}"


def draw(seed: int) -> tuple[list[Kill], list[Kill]]:
    """Draw a plan: one to three kills in the registration, then two in the waits, one of them of the triggerer.

    Three use up the retries of the registration, so that a second run has to take the orders up.
    """
    rng = random.Random(seed)
    registration = [_kill(rng, rng.choice(IN_REGISTRATION), True) for _ in range(rng.randint(1, 2))]
    waits = [_kill(rng, victim, False) for victim in ("triggerer", rng.choice(IN_WAITS))]
    if len(registration) == 2 and rng.random() < 0.3:
        registration.append(_kill(rng, rng.choice(IN_REGISTRATION), True))
    return registration, sorted(waits, key=lambda kill: kill.settled)


def _kill(rng: random.Random, victim: Victim, registering: bool) -> Kill:
    moment: Moment = rng.choice(("batch on its way", "batch applied")) if registering else "waits"
    hold = rng.uniform(3, 9)
    return Kill(
        victim,
        moment,
        settled=0 if registering else rng.randint(0, 8),
        after=rng.uniform(0.1, 2.5),
        hold=hold,
        down=rng.uniform(0, 4),
    )
