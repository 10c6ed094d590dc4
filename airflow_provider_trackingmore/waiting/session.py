"""One wait from its start to its verdict: subscribe, take updates, check once more at the deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from airflow_provider_trackingmore.api.errors import AuthenticationError
from airflow_provider_trackingmore.waiting.condition import Condition
from airflow_provider_trackingmore.waiting.cooperative import cooperatively, run_aside
from airflow_provider_trackingmore.waiting.outcome import Verdict
from airflow_provider_trackingmore.waiting.poller import Poller
from airflow_provider_trackingmore.waiting.pollers import Pollers, pollers_of_running_loop
from airflow_provider_trackingmore.waiting.registry import Subscription
from airflow_provider_trackingmore.waiting.sender import Sender
from airflow_provider_trackingmore.waiting.spec import WaitSpec

LAST_CHECK_SECONDS = 30.0
"""The last check of a wait, at its deadline, is over after this at the latest."""


async def run_wait(
    spec: WaitSpec,
    connect: Callable[[], Awaitable[Sender]],
    *,
    pollers: Pollers | None = None,
    clock: Callable[[], float] = time.time,
) -> Verdict:
    """Wait until what is waited for has come true, cannot come true any more, or the deadline has passed.

    It changes nothing at the vendor, so it may run any number of times.

    :param spec: what is waited for.
    :param connect: reads the connection and returns a client for it; called again when the account refuses the key,
        since the key may have been rotated.
    :param pollers: the pollers to share calls with; None: those of the running event loop.
    :param clock: unix seconds.
    :return: the verdict.
    :raises TrackingMoreError: when the account refuses for good.
    """
    session = _Session(await run_aside(spec.size, lambda: Condition(spec)), clock)
    condition = session.condition
    first_check_in = None if spec.first_check_at is None else spec.first_check_at - clock()
    refusal: AuthenticationError | None = None
    refused_account = ""
    while not condition.is_over():
        sender = await connect()
        if refusal is not None and sender.account == refused_account:
            raise refusal
        poller = (pollers or pollers_of_running_loop()).get(sender)
        subscription = await poller.subscribe(
            condition.open,
            poke_interval=spec.poke_interval,
            reconcile_seconds=spec.reconcile_seconds,
            first_check_in=first_check_in,
        )
        with subscription:
            try:
                return await session.wait(subscription, poller)
            except AuthenticationError as error:
                refusal, refused_account, first_check_in = error, sender.account, 0.0
    return await run_aside(spec.size, condition.verdict)


class _Session:
    """One wait across its subscriptions: a new one follows when the key was rotated."""

    def __init__(self, condition: Condition, clock: Callable[[], float]) -> None:
        self.condition = condition
        self._clock = clock
        self._last_check_ends_at: float | None = None

    async def wait(self, subscription: Subscription, poller: Poller) -> Verdict:
        """Wait until the verdict.

        :param subscription: what the wait still needs.
        :param poller: the poller of the subscription.
        :raises TrackingMoreError: when the account refuses.
        """
        condition, deadline = self.condition, self.condition.spec.deadline
        while not condition.is_over():
            seconds = None if deadline is None else max(deadline - self._clock(), 0.0)
            if not await self._take_updates(subscription, seconds):
                break
        if condition.is_over():
            return await run_aside(condition.spec.size, condition.verdict)
        loop_time = asyncio.get_running_loop().time
        if self._last_check_ends_at is None:
            self._last_check_ends_at = loop_time() + LAST_CHECK_SECONDS
        poller.check_at_deadline(subscription)
        while not condition.is_over() and subscription.awaits_full_check:
            seconds = self._last_check_ends_at - loop_time()
            if seconds <= 0 or not await self._take_updates(subscription, seconds):
                break
        return await run_aside(condition.spec.size, lambda: condition.verdict().at_deadline())

    async def _take_updates(self, subscription: Subscription, seconds: float | None) -> bool:
        """Take in the next updates.

        :return: False when the time was up first.
        """
        updates = await subscription.updates(seconds)
        if updates is None:
            return False
        now = self._clock()
        async for key, observed in cooperatively(updates.items()):
            self.condition.update(key, observed, now)
            if self.condition.is_settling(key):
                subscription.settling.add(key)
            else:
                subscription.settling.discard(key)
        await run_aside(self.condition.spec.size, self.condition.decide)
        subscription.drop(self.condition.take_closed())
        return True
