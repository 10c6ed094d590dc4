"""The pollers of one event loop, one per account."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

from airflow_provider_trackingmore.client.observer import Observer
from airflow_provider_trackingmore.waiting.poller import Poller
from airflow_provider_trackingmore.waiting.sender import Sender


class Pollers:
    """The pollers of one event loop, one per account.

    :param clock: unix seconds.
    :param rng: for the jitter of back-offs; None: a generator of its own.
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

    def get(self, sender: Sender) -> Poller:
        """Return the poller of the sender's account, which may be a new one.

        :param sender: kept by a new poller, closed if the account's poller has another one.
        :return: the poller. Subscribe before the next ``await``, or it may have ended.
        """
        poller = self._pollers.get(sender.account)
        if poller is None:
            poller = self._pollers[sender.account] = Poller(
                sender, wall_clock=self._clock, rng=self._rng, observer=self._observer, on_change=self._count_waits
            )
        elif poller.sender is not sender:
            sender.close()
        return poller

    def _count_waits(self, changed: Poller) -> None:
        """Tell the metrics how many waits this event loop has; forget a poller that has none any more."""
        self._observer.gauge("waits.open", self.open_waits)
        account = changed.sender.account
        if not changed.subscriptions and self._pollers.get(account) is changed:
            del self._pollers[account]

    @property
    def open_waits(self) -> int:
        """How many waits have subscribed, of all accounts."""
        return sum(poller.subscriptions for poller in self._pollers.values())


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Pollers] = WeakKeyDictionary()


def pollers_of_running_loop(observer: Observer | None = None) -> Pollers:
    """Return the pollers of the running event loop.

    :param observer: receives metrics, when this is the first call in the loop.
    """
    loop = asyncio.get_running_loop()
    pollers = _of_loop.get(loop)
    if pollers is None:
        pollers = _of_loop[loop] = Pollers(observer=observer)
    return pollers
