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
    condition = await run_aside(spec.size, lambda: Condition(spec))
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
                return await _wait(condition, subscription, poller, clock)
            except AuthenticationError as error:
                refusal, refused_account, first_check_in = error, sender.account, 0.0
    return await run_aside(spec.size, condition.verdict)


async def _wait(
    condition: Condition, subscription: Subscription, poller: Poller, clock: Callable[[], float]
) -> Verdict:
    deadline = condition.spec.deadline
    while not condition.is_over():
        seconds = None if deadline is None else max(deadline - clock(), 0.0)
        if not await _take_updates(condition, subscription, clock, seconds):
            break
    if condition.is_over():
        return await run_aside(condition.spec.size, condition.verdict)
    poller.check_at_deadline(subscription)
    last_moment = asyncio.get_running_loop().time() + LAST_CHECK_SECONDS
    while not condition.is_over() and subscription.awaits_full_check:
        seconds = last_moment - asyncio.get_running_loop().time()
        if seconds <= 0 or not await _take_updates(condition, subscription, clock, seconds):
            break
    return await run_aside(condition.spec.size, lambda: condition.verdict().at_deadline())


async def _take_updates(
    condition: Condition, subscription: Subscription, clock: Callable[[], float], seconds: float | None
) -> bool:
    """Take in the next updates.

    :return: False when the time was up first.
    """
    updates = await subscription.updates(seconds)
    if updates is None:
        return False
    now = clock()
    async for key, observed in cooperatively(updates.items()):
        condition.update(key, observed, now)
        if condition.is_settling(key):
            subscription.settling.add(key)
        else:
            subscription.settling.discard(key)
    await run_aside(condition.spec.size, condition.decide)
    subscription.drop(condition.take_closed())
    return True
