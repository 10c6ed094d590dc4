"""Run one wait from its start to its verdict: subscribe, process updates, check once more at the deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from airflow_provider_trackingmore.api.errors import AuthenticationError
from airflow_provider_trackingmore.waiting.condition import Condition
from airflow_provider_trackingmore.waiting.cooperative import cooperatively, run_off_loop
from airflow_provider_trackingmore.waiting.outcome import Verdict, WaitResult
from airflow_provider_trackingmore.waiting.poller import Poller
from airflow_provider_trackingmore.waiting.pollers import Pollers, pollers_of_running_loop
from airflow_provider_trackingmore.waiting.registry import Subscription
from airflow_provider_trackingmore.waiting.sender import Sender
from airflow_provider_trackingmore.waiting.spec import WaitSpec

LAST_CHECK_SECONDS = 30.0
"""The last check of a wait, at its deadline, takes no longer than this."""


async def run_wait(
    spec: WaitSpec,
    connect: Callable[[], Awaitable[Sender]],
    *,
    pollers: Pollers | None = None,
    clock: Callable[[], float] = time.time,
    trigger_id: int | None = None,
) -> Verdict:
    """Wait until enough shipments have arrived, too few can still arrive, or the deadline has passed.

    It only reads, so it is safe to run repeatedly.

    :param spec: the options of the wait.
    :param connect: reads the connection and returns a client for it. It is called again if TrackingMore refuses the
        key, which may have been rotated.
    :param pollers: the pollers to share calls with; None for those of the running event loop.
    :param clock: Unix seconds.
    :param trigger_id: the id of the trigger that waits, for progress reports.
    :return: the verdict.
    :raises TrackingMoreError: if TrackingMore refuses the account, and did so again when asked to confirm it.
    """
    session = _Session(await run_off_loop(spec.size, lambda: Condition(spec)), clock)
    condition = session.condition
    pollers = pollers or pollers_of_running_loop()
    first_check_in = None if spec.first_check_at is None else spec.first_check_at - clock()
    refusal: AuthenticationError | None = None
    refused_account = ""
    while not condition.is_over():
        sender = await connect()
        if refusal is not None and sender.account == refused_account:
            sender.close()
            raise refusal
        poller = pollers.get(sender)
        pollers.activity(sender.account).conn_ids.add(spec.trackingmore_conn_id)
        subscription = await poller.subscribe(
            condition.open,
            poke_interval=spec.poke_interval,
            reconcile_seconds=spec.reconcile_seconds,
            first_check_in=first_check_in,
        )
        subscription.trigger_id, subscription.count_statuses = trigger_id, condition.count_statuses
        with subscription:
            try:
                verdict = await session.wait(subscription, poller)
            except AuthenticationError as error:
                refusal, refused_account, first_check_in = error, sender.account, 0.0
            else:
                if verdict.result is WaitResult.RELEASED:
                    pollers.activity(sender.account).count_release(clock())
                return verdict
    return await run_off_loop(spec.size, condition.verdict)


class _Session:
    """One wait across its subscriptions: it subscribes again after the key was rotated."""

    def __init__(self, condition: Condition, clock: Callable[[], float]) -> None:
        self.condition = condition
        self._clock = clock
        self._last_check_ends_at: float | None = None

    async def wait(self, subscription: Subscription, poller: Poller) -> Verdict:
        """Wait for the verdict.

        :param subscription: the subscription to the open shipments.
        :param poller: the poller of the subscription.
        :raises TrackingMoreError: if TrackingMore refuses the account.
        """
        condition, deadline = self.condition, self.condition.spec.deadline
        while not condition.is_over():
            seconds = None if deadline is None else max(deadline - self._clock(), 0.0)
            if not await self._process_updates(subscription, seconds):
                break
        if condition.is_over():
            return await run_off_loop(condition.spec.size, condition.verdict)
        loop_time = asyncio.get_running_loop().time
        if self._last_check_ends_at is None:
            self._last_check_ends_at = loop_time() + LAST_CHECK_SECONDS
        poller.check_at_deadline(subscription)
        while not condition.is_over() and subscription.awaits_full_check:
            seconds = self._last_check_ends_at - loop_time()
            if seconds <= 0 or not await self._process_updates(subscription, seconds):
                break
        return await run_off_loop(condition.spec.size, lambda: condition.verdict().at_deadline())

    async def _process_updates(self, subscription: Subscription, seconds: float | None) -> bool:
        """Process the next updates.

        :return: False on a timeout.
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
        await run_off_loop(self.condition.spec.size, self.condition.decide)
        subscription.drop(self.condition.take_closed())
        return True
