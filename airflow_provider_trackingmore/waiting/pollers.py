"""The pollers of an event loop: one for each account and route to it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from airflow_provider_trackingmore.client.observer import Observer
from airflow_provider_trackingmore.client.rate_limit.usage import counts_of_last_day, quarter_of
from airflow_provider_trackingmore.waiting.poller import Poller
from airflow_provider_trackingmore.waiting.sender import Sender


@dataclass(eq=False)
class AccountActivity:
    """What the waits of an account have done in this event loop. It outlives their pollers.

    :param conn_ids: the Airflow connections that they have used.
    :param releases: the number of released waits by the start of each quarter of an hour, for the last day.
    """

    conn_ids: set[str] = field(default_factory=set)
    releases: dict[int, int] = field(default_factory=dict)

    def count_release(self, now: float) -> None:
        """Count a released wait.

        :param now: Unix seconds.
        """
        begin = quarter_of(now)
        self.releases[begin] = self.releases.get(begin, 0) + 1
        self.releases = counts_of_last_day(self.releases, now)


class Pollers:
    """The pollers of one event loop, one for each account and route to it.

    Two connections may have the same key but different hosts or proxies. Their waits must not affect each other, but
    they share the account's rate limit.

    :param clock: Unix seconds.
    :param rng: for the jitter of back-offs; None for a new generator.
    :param observer: receives metrics.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311  # spreads retries, protects nothing
        self._observer = observer or Observer()
        self._pollers: dict[str, Poller] = {}
        self._activities: dict[str, AccountActivity] = {}

    @property
    def all(self) -> Sequence[Poller]:
        """The pollers that have subscriptions."""
        return list(self._pollers.values())

    def activity(self, account: str) -> AccountActivity:
        """Return the activity of an account.

        :param account: its fingerprint.
        """
        return self._activities.setdefault(account, AccountActivity())

    def get(self, sender: Sender) -> Poller:
        """Return the poller for the sender's route, creating it if necessary.

        :param sender: used by a new poller; closed if the route's poller already has another one.
        :return: the poller. Subscribe before the next ``await``: a poller without subscriptions may end.
        """
        poller = self._pollers.get(sender.route)
        if poller is None:
            poller = self._pollers[sender.route] = Poller(
                sender, wall_clock=self._clock, rng=self._rng, observer=self._observer, on_change=self._poller_changed
            )
        elif poller.sender is not sender:
            sender.close()
        return poller

    def _poller_changed(self, poller: Poller) -> None:
        """Report the number of waits in this event loop, and drop a poller without subscriptions."""
        self._observer.gauge("waits.open", self.open_waits)
        route = poller.sender.route
        if not poller.is_used and self._pollers.get(route) is poller:
            del self._pollers[route]

    @property
    def open_waits(self) -> int:
        """How many waits have subscribed, for all accounts."""
        return sum(poller.waits for poller in self._pollers.values())


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Pollers] = WeakKeyDictionary()


def pollers_of_running_loop(observer: Observer | None = None) -> Pollers:
    """Return the pollers of the running event loop.

    :param observer: receives metrics, if this is the first call in the loop.
    """
    loop = asyncio.get_running_loop()
    pollers = _of_loop.get(loop)
    if pollers is None:
        pollers = _of_loop[loop] = Pollers(observer=observer)
    return pollers
