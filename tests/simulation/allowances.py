"""The allowances of the oracle: how much later than its interval a check may be, and why.

A check may only be delayed by the account itself: by slots, cool-downs and failures.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.simulation.network import Call
from tests.simulation.parcels import Name

PUBLISH_SECONDS = 0.01
"""From a response to the end of the wait that it decides. Virtual time passes only while tasks sleep."""
GATHER_SECONDS = 2.0
"""The first check begins once no wait has joined for this long ..."""
LONGEST_GATHER_SECONDS = 60.0
"""... but no later than this, or an interval, after the wait has joined."""
DEADLINE_SECONDS = 30.0
"""The last check at a deadline takes no longer than this in any case."""
CONFIRM_SECONDS = 10.0
"""The second attempt that confirms a refusal follows within this time."""
FIRST_BACK_OFF = 5.0
SHORTEST_BACK_OFF = 2.5
"""Jitter shortens the first pause by up to a half."""
LONGEST_BACK_OFF = 300.0
HALVINGS = 7
"""A number that makes calls fail is found after this many calls, of 40, 20, 10, 5, 3, 2 and 1 numbers."""
ALIKE = 3
"""After this many failed calls in a row, or one that names no numbers, the service is down and all calls pause."""
USUAL_SECONDS = 1.5
"""A call that takes longer is slow. Nothing else can be sent meanwhile."""
SPREAD_SECONDS = 0.1
"""Those who wait for a slot come up to this much later, so that they do not come all at once."""
LOST_SLOTS = 6
"""Triggerers that share an account compete for slots: another one may be faster this many times in a row."""
MOST_CALLS = 2
MORE_CALLS = 4
"""A triggerer may make this many times the arithmetic minimum of calls, and this many more."""
POLLS_BEFORE_CONFIRMATION = 5
"""While polls are continuously due, this many of them come before each confirmation."""

SECONDS_PER_HINT = 30.0
"""A shipment is checked because of a hint no more often than this ..."""
SECONDS_PER_BATCH = 2.0
"""... and hints within this time share their calls."""
HINT_SECONDS = 2.5
"""A hint may wait for others, and for the previous batch."""
HINT_KEPT_SECONDS = 60.0
"""A hint about a shipment without subscribers counts for waits that join within this time."""

JOINED_EARLY = 0.1
"""Watchers join the calls of others up to this share of their interval early."""

Span = tuple[float, float]


def merged(spans: Iterable[Span]) -> list[Span]:
    """Join spans that overlap."""
    result: list[Span] = []
    for begins, ends in sorted(spans):
        if result and begins <= result[-1][1]:
            result[-1] = (result[-1][0], max(ends, result[-1][1]))
        else:
            result.append((begins, ends))
    return result


def after(moment: float, seconds: float, excused: Sequence[Span]) -> float:
    """Return when this many seconds have passed since a moment, not counting excused time.

    :param excused: spans that do not overlap, in order.
    """
    at = max(0, bisect_right(excused, (moment, math.inf)) - 1)
    for begins, ends in excused[at:]:
        if ends <= moment:
            continue
        if begins > moment:
            if begins - moment >= seconds:
                break
            seconds -= begins - moment
        moment = ends
    return moment + seconds


def overlaps(begins: float, ends: float, excused: Sequence[Span]) -> bool:
    """Tell whether any of the time is excused."""
    return any(start < ends and end > begins for start, end in excused)


def back_off(failing_for: float) -> float:
    """Return the longest possible pause after a failure.

    Pauses double, and jitter shortens them by up to a half, so the next one may be twice as long as all before it.
    """
    return min(LONGEST_BACK_OFF, 2 * failing_for + FIRST_BACK_OFF)


@dataclass
class _Streak:
    began: float
    calls: int = 0


class Excuses:
    """What delayed the checks in one life of a triggerer at one account, derived from its calls.

    :param calls: its calls, in order of departure.
    :param limited: all calls of the account with a 429 response.
    """

    def __init__(self, calls: Sequence[Call], limited: Iterable[Call]) -> None:
        self._everybody: list[Span] = [
            (call.departed_at, call.ended_at + call.cool_down + USUAL_SECONDS) for call in limited
        ]
        self._numbers: dict[str, list[Span]] = {}
        self._innocent: dict[tuple[str, str], int] = {}
        self._merged: dict[str, list[Span]] = {}
        row: list[Call] = []
        streaks: dict[str, _Streak] = {}
        for call in calls:
            if call.result == "ok":
                row = []
                if call.kind != "change":
                    listed = {parcel.name[1] for parcel, _ in call.shown} & streaks.keys()
                    for number in call.numbers if call.kind != "list" else listed:
                        streaks.pop(number, None)
            if call.ended_at - call.departed_at > USUAL_SECONDS:
                self._everybody.append((call.departed_at, call.ended_at))
            if call.result == "refused":
                self._everybody.append((call.departed_at, call.ended_at + CONFIRM_SECONDS))
            if call.result == "failed":
                row.append(call)
                self._failed(call, row, streaks)
        self.everybody = merged(self._everybody)

    def _failed(self, call: Call, row: list[Call], streaks: dict[str, _Streak]) -> None:
        if not call.numbers or len(row) >= ALIKE:
            began = row[0].departed_at
            self._everybody.append((began, call.ended_at + back_off(call.ended_at - began)))
        for number in call.numbers:
            streak = streaks.setdefault(number, _Streak(call.departed_at))
            if call.cause.startswith("poison") and call.cause != f"poison {number}":
                culprit = (number, call.cause)
                self._innocent[culprit] = self._innocent.get(culprit, 0) + 1
                if self._innocent[culprit] > HALVINGS:
                    continue
            pause = back_off(call.ended_at - streak.began)
            self._numbers.setdefault(number, []).append((call.departed_at, call.ended_at + pause))

    def of(self, names: Iterable[Name]) -> list[Span]:
        """Return what delayed the checks of some shipments."""
        numbers = sorted({number for _, number in names if number in self._numbers})
        if not numbers:
            return self.everybody
        key = ",".join(numbers)
        if key not in self._merged:
            self._merged[key] = merged(
                [*self.everybody, *(span for number in numbers for span in self._numbers[number])]
            )
        return self._merged[key]


def gathering(begins: float, longest: float, joins: Sequence[float]) -> float:
    """Return when waits that join around the same time are checked together.

    :param begins: when a wait joins.
    :param longest: the maximum delay.
    :param joins: when others join, in order.
    """
    until = begins + GATHER_SECONDS
    for join in _from(joins, begins):
        if join > until or until >= begins + longest:
            break
        until = join + GATHER_SECONDS
    return min(until, begins + longest)


def _from(moments: Sequence[float], begins: float) -> Iterator[float]:
    for at in range(bisect_right(moments, begins), len(moments)):
        yield moments[at]
