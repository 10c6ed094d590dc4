"""How an account was used in the last day: calls per quarter of an hour, by whom, and when the last 429 was received.

It is kept in the same kind of store as the slot clock, but separately: a count that is lost or damaged must not affect
when requests are sent. So nothing here raises or waits for long.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

QUARTER_SECONDS = 900
KEPT_QUARTERS = 97
"""How many quarters of an hour are kept: those of the last day, and the current one."""
KEPT_USERS = 32
CLOCK_TOLERANCE = 60.0
"""How far in the future a time may be, in seconds: the clocks of hosts differ."""
MAX_COUNT = 10**9


def quarter_of(at: float) -> int:
    """Return the start of the quarter of an hour that contains a time.

    :param at: Unix seconds.
    :return: Unix seconds.
    """
    return int(at // QUARTER_SECONDS) * QUARTER_SECONDS


@dataclass(frozen=True, slots=True)
class AccountUser:
    """The processes of one kind on one host that have used an account.

    :param component: their kind, such as ``"triggerer"`` or ``"worker"``.
    :param host: the name of their host.
    :param last_call_at: Unix seconds.
    """

    component: str
    host: str
    last_call_at: float


@dataclass(frozen=True, slots=True)
class AccountUsage:
    """How an account was used.

    :param calls: the calls in each quarter of an hour of the last day, by its start in Unix seconds.
    :param users: who made them.
    :param last_429_at: Unix seconds; None if there was none in the last day.
    """

    calls: Mapping[int, int] = field(default_factory=dict)
    users: tuple[AccountUser, ...] = ()
    last_429_at: float | None = None

    def to_json(self) -> str:
        """Serialize it."""
        users = [[user.component, user.host, round(user.last_call_at)] for user in self.users]
        last_429_at = None if self.last_429_at is None else round(self.last_429_at)
        values = {"calls": dict(self.calls), "users": users, "last_429_at": last_429_at}
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: bytes | str) -> AccountUsage:
        """Parse it.

        :param text: from :meth:`to_json`. Whatever is damaged is left out.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            calls = {int(start): min(int(count), MAX_COUNT) for start, count in values["calls"].items()}
            users = tuple(AccountUser(str(component), str(host), float(at)) for component, host, at in values["users"])
            last_429_at = values["last_429_at"]
            return cls(calls, users, None if last_429_at is None else float(last_429_at))
        except (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return cls()

    def with_call(self, component: str, host: str, now: float) -> AccountUsage:
        """Add a call, and drop what is older than a day.

        :param component: who made it.
        :param host: the name of its host.
        :param now: Unix seconds.
        """
        start = quarter_of(now)
        others = [user for user in self.users if (user.component, user.host) != (component, host)]
        users = (AccountUser(component, host, now), *others)
        calls = {**self.calls, start: self.calls.get(start, 0) + 1}
        return AccountUsage(calls, users, self.last_429_at).of_last_day(now)

    def of_last_day(self, now: float) -> AccountUsage:
        """Drop what is older than a day, or in the future because the clock was set back.

        :param now: Unix seconds.
        """
        users = sorted((user for user in self.users if is_of_last_day(user.last_call_at, now)), key=_newest_first)
        last_429_at = self.last_429_at
        return AccountUsage(
            counts_of_last_day(self.calls, now),
            tuple(users[:KEPT_USERS]),
            last_429_at if last_429_at is not None and is_of_last_day(last_429_at, now) else None,
        )


def counts_of_last_day(counts: Mapping[int, int], now: float) -> dict[int, int]:
    """Drop the quarters that ended more than a day ago, or are in the future.

    :param counts: counts by the start of a quarter, in Unix seconds.
    :param now: Unix seconds.
    """
    newest = quarter_of(now)
    oldest = newest - (KEPT_QUARTERS - 1) * QUARTER_SECONDS
    return {start: count for start, count in sorted(counts.items()) if oldest <= start <= newest}


def is_of_last_day(at: float, now: float) -> bool:
    """Return whether a time is in the last day, by the quarters that are kept.

    :param at: Unix seconds.
    :param now: Unix seconds.
    """
    return now - KEPT_QUARTERS * QUARTER_SECONDS <= at <= now + CLOCK_TOLERANCE


def _newest_first(user: AccountUser) -> tuple[float, str, str]:
    return -user.last_call_at, user.component, user.host


class UsageStore(Protocol):
    """Stores the usage of one account. Its methods may block for a moment, and never raise."""

    @property
    def scope(self) -> str:
        """Identifies the store: usage with the same scope is the same usage."""
        ...

    def record_call(self, component: str, now: float) -> None:
        """Record that a request was sent.

        :param component: the component that sent it, such as ``worker``.
        :param now: Unix seconds.
        """
        ...

    def record_429(self, now: float) -> None:
        """Record that a 429 was received.

        :param now: Unix seconds.
        """
        ...

    def read(self, now: float) -> AccountUsage:
        """Return the usage of the last day.

        :param now: Unix seconds.
        """
        ...
