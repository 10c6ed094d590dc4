"""Who waits in a hub, for what, and what it has been told. Knows no calls and no clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self, TypeAlias

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.waiting.outcomes import Outcome

News: TypeAlias = Mapping[ShipmentKey, Outcome]
"""What looks have found since the last time; ``not_registered`` among it."""
Folded: TypeAlias = tuple[str, str]
"""Carrier and number without regard to case, as the vendor compares them."""


def folded(key: ShipmentKey) -> Folded:
    """Make of a shipment what all its spellings have in common.

    :param key: carrier and number.
    :return: the same without regard to case.
    """
    return key.carrier_code.casefold(), key.tracking_number.casefold()


@dataclass(slots=True, eq=False)
class Watched:
    """One shipment that somebody waits for.

    :param key: how it is asked for.
    :param members: who waits for it, and how each spells it.
    :param fact: the newest that is known; None before the first look.
    :param looked_at: when it was last looked at by number or list.
    :param look_by: when it must be looked at so again.
    :param created: unix seconds of its registration, by the vendor's clock; None when that is not known.
    """

    key: ShipmentKey
    members: dict[Member, ShipmentKey] = field(default_factory=dict)
    fact: Outcome | None = None
    looked_at: float = float("-inf")
    look_by: float = float("-inf")
    created: float | None = None

    def tell(self, fact: Outcome) -> int:
        """Take in a fact, and tell everybody for whom it is news.

        :param fact: what a look has found.
        :return: how many were told.
        """
        changed = fact != self.fact
        self.fact = fact
        told = [member for member, key in self.members.items() if changed or key in member.fresh]
        for member in told:
            member.tell(self.members[member], fact)
        return len(told)


class Member:
    """One wait in the hub. Used in a ``with`` block: leaving it leaves the hub, however it ends.

    :param keys: the shipments asked for.
    :param interval: seconds between looks.
    :param leave: called with the shipments that are not asked for any more; without any, at the end.
    """

    __slots__ = ("_error", "_leave", "_news", "_waiter", "fresh", "interval", "keys")

    def __init__(
        self, keys: Iterable[ShipmentKey], interval: float, leave: Callable[[Member, Iterable[ShipmentKey]], None]
    ) -> None:
        self.keys = tuple(dict.fromkeys(keys))
        self.interval = interval
        self.fresh: frozenset[ShipmentKey] = frozenset()
        self._leave = leave
        self._news: dict[ShipmentKey, Outcome] = {}
        self._error: TrackingMoreError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        gone, self.keys = self.keys, ()
        self._leave(self, gone)

    def narrow(self, keys: Iterable[ShipmentKey], fresh: Iterable[ShipmentKey] = ()) -> None:
        """Ask for fewer shipments.

        :param keys: those that are still to be asked for.
        :param fresh: those of them that must really be looked at each time, and told of even if nothing has changed.
        """
        kept = set(keys)
        gone = tuple(key for key in self.keys if key not in kept)
        self.fresh = frozenset(fresh)
        if gone:
            self.keys = tuple(key for key in self.keys if key in kept)
            self._leave(self, gone)

    async def news(self, within: float | None) -> News | None:
        """Wait for news of this member's shipments.

        :param within: seconds; None: however long it takes.
        :return: what was found; None when the time is up first.
        :raises TrackingMoreError: when the account cannot be asked any more (a wrong key, say).
        """
        if not self._news and self._error is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(within):
                    await self._waiter
            except TimeoutError:
                return None
            finally:
                self._waiter = None
        if self._error is not None:
            raise self._error
        news, self._news = self._news, {}
        return news

    def tell(self, key: ShipmentKey, fact: Outcome) -> None:
        """Hand over what was found.

        :param key: the shipment as this member spells it.
        :param fact: the same as the vendor has it.
        """
        self._news[key] = fact if fact.key == key else replace(fact, carrier_code=key[0], tracking_number=key[1])
        self._wake()

    def end(self, error: TrackingMoreError) -> None:
        """Say why nothing can be found any more."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
