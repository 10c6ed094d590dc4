"""The HTTP client for one account: rate limit, transport, retries and parsing behind two methods.

:meth:`TrackingMoreClient.send` blocks; :meth:`TrackingMoreClient.send_async` is for an event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self, TypeVar

from airflow_provider_trackingmore.api.envelope import Request, parse_response
from airflow_provider_trackingmore.api.errors import ConnectError, RateLimitError, TrackingMoreError
from airflow_provider_trackingmore.client.call import Call, SlotMissedError
from airflow_provider_trackingmore.client.executor import MAX_THREADS, account_executor
from airflow_provider_trackingmore.client.observer import Observer
from airflow_provider_trackingmore.client.rate_limit.clock import RateLimiter, SlotBusy
from airflow_provider_trackingmore.client.rate_limit.stores import open_store
from airflow_provider_trackingmore.client.retry import Budget, RetryPolicy
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.client.transport import Transport

T = TypeVar("T")

THREAD_START_SECONDS = 0.5
"""What a free thread may need on a busy machine until it runs, also when the call may wait for nothing."""
MIN_KEY_LENGTH_TO_REDACT = 12
"""A shorter text (a sandbox key such as "demo") may well stand in an answer by chance; real keys are longer."""


@dataclass
class Statistics:
    """What a client has done so far.

    :param requests: attempts to send, repetitions included.
    :param retries: repetitions.
    :param rate_limited: answers 429.
    :param slot_wait_seconds: time that callers waited for a slot.
    """

    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    slot_wait_seconds: float = 0.0


class TrackingMoreClient:
    """Sends requests to one account; may be used by several threads and event loops at a time.

    :param settings: how the account is reached.
    :param clock: seconds, for the pace and for waiting budgets; None: the real ones.
    :param sleep: waits in :meth:`send`.
    :param async_sleep: waits in :meth:`send_async`.
    :param observer: told of everything as it happens.
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        observer: Observer | None = None,
    ) -> None:
        self.observer = observer or Observer()
        self._settings = settings
        self._clock = clock or time.monotonic
        self._sleep = sleep
        self._async_sleep = async_sleep
        self._transport = Transport(settings)
        self._executor = account_executor(settings.fingerprint)
        self._policy = RetryPolicy(settings.max_attempts, settings.cool_down_seconds)
        # Processes that share a file share no monotonic clock (two hosts, a restart): their common time is the wall's.
        shared_clock = clock or time.time
        name = settings.fingerprint

        def limiter(name: str, rate: float) -> RateLimiter:
            store = open_store(settings.pacing, name, interval=1 / rate)
            return RateLimiter(store, interval=1 / rate, clock=shared_clock)

        self._limiter = self._realtime_limiter = limiter(name, settings.requests_per_second)
        if settings.realtime_requests_per_second is not None:
            self._realtime_limiter = limiter(f"{name}-realtime", settings.realtime_requests_per_second)
        self._statistics = Statistics()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<TrackingMoreClient {self._settings.base_url} account {self._settings.fingerprint}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def settings(self) -> ClientSettings:
        """How the account is reached."""
        return self._settings

    @property
    def account(self) -> str:
        """The fingerprint of the API key: which account this is, in logs and file names."""
        return self._settings.fingerprint

    @property
    def statistics(self) -> Statistics:
        """What this client has done so far: a copy, which does not change any more."""
        with self._lock:
            return replace(self._statistics)

    def is_free(self) -> bool:
        """Tell whether the account's pace would let a request leave at once.

        :return: False while another one is on its way, or the account is silent after a 429.
        """
        return self._limiter.is_free()

    def close(self) -> None:
        """Close all connections and end idle threads. A closed client can be used again."""
        self._transport.close()
        self._executor.shutdown()

    def send(self, request: Request[T], *, max_wait_seconds: float | None = None) -> T:
        """Send a request as soon as the account's pace allows, and read its answer.

        :param request: the call.
        :param max_wait_seconds: longest time for all waiting together (for slots, before repetitions); None: no bound.
            When the next wait would be too long, the last error is raised at once. The exchanges themselves are bounded
            by ``timeout_seconds`` each.
        :return: what ``request.parse`` makes of the answer.
        :raises TrackingMoreError: what the server said, or why there is no answer.
        """
        call = self._call(request, max_wait_seconds)

        def attempt() -> T:
            while isinstance(step := self._step(request, call), SlotBusy):
                self._wait(call.pause(step))
            return step

        loop = self._policy.retrying(request, call.budget, sleep=self._sleep, on_retry=self._retried)
        return loop(attempt)

    async def send_async(
        self, request: Request[T], *, max_wait_seconds: float | None = None, max_attempts: int | None = None
    ) -> T:
        """Send a request like :meth:`send`, without blocking the event loop.

        Slots are awaited on the loop; taking one, the exchange and the reading of the answer happen in one thread of
        the account's own executor. The thread takes its slot itself, so that no time passes between a slot and its
        departure however busy the threads are, and a cancelled call leaves the pace as it should be.

        :param request: the call.
        :param max_wait_seconds: as for :meth:`send`; waiting for a thread counts too.
        :param max_attempts: how often to send it at most; None: as the settings say.
        :return: as for :meth:`send`.
        :raises TrackingMoreError: as for :meth:`send`.
        """
        call = self._call(request, max_wait_seconds)

        async def attempt() -> T:
            while isinstance(step := await self._step_in_thread(request, call), SlotBusy):
                self._waited(seconds := call.pause(step))
                await self._async_sleep(seconds)
            return step

        policy = self._policy if max_attempts is None else replace(self._policy, max_attempts=max_attempts)
        loop = policy.async_retrying(request, call.budget, sleep=self._async_sleep, on_retry=self._retried)
        return await loop(attempt)

    def _call(self, request: Request[T], max_wait_seconds: float | None) -> Call:
        limiter = self._realtime_limiter if request.realtime else self._limiter
        return Call(request.name, self._settings.fingerprint, limiter, Budget(max_wait_seconds, self._clock))

    async def _step_in_thread(self, request: Request[T], call: Call) -> T | SlotBusy:
        run = contextvars.copy_context().run
        future = self._executor.submit(run, self._step, request, call)
        step = asyncio.wrap_future(future)
        try:
            remaining = call.budget.remaining()
            patience = None if remaining is None else max(remaining, THREAD_START_SECONDS)
            done, _ = await asyncio.wait({step}, timeout=patience)
            if not done and future.cancel():  # no thread took it; once one has, the transport's time-out bounds it
                raise call.last_error or ConnectError(
                    f"{request.name}: not sent, for all {MAX_THREADS} threads of this account are busy with earlier "
                    "calls for longer than the call may wait"
                )
            return await step
        finally:
            step.cancel()

    def _step(self, request: Request[T], call: Call) -> T | SlotBusy:
        """Take the slot and make the exchange, or say how long to wait for the slot."""
        warm = self._transport.warm
        if busy := call.acquire(warm=warm):
            return busy
        with self._lock:
            self._statistics.requests += 1
        self.observer.count("requests")
        self.observer.timing("slot_wait", call.reset_waiting())
        began = self._clock()
        error: TrackingMoreError
        try:
            answer = self._transport.exchange(
                request,
                connected=lambda: call.acquire_again_if_late(self._wait),
                answered=lambda: call.release(warm=warm),
            )
            headers = {name: self._redact(value) for name, value in answer.headers.items()}
            return parse_response(request, answer.status, headers, self._without_key(answer.body))
        except SlotMissedError as missed:
            return missed.busy
        except TrackingMoreError as caught:
            error = caught
        finally:
            self.observer.timing("exchange", self._clock() - began)
        if isinstance(error, RateLimitError):
            self._start_cool_down(error, call)
        error.args = (self._redact(error.message),)
        call.last_error = error
        raise error

    def _start_cool_down(self, error: RateLimitError, call: Call) -> None:
        error.retry_after = seconds = self._policy.cool_down(error)
        self._limiter.penalize(seconds, timeout=call.lock_timeout())
        if self._realtime_limiter is not self._limiter:
            self._realtime_limiter.penalize(seconds, timeout=call.lock_timeout())
        with self._lock:
            self._statistics.rate_limited += 1
        self.observer.count("rate_limited")

    def _without_key(self, body: bytes) -> bytes:
        """Keep a server that echoes the key from bringing it into results and messages."""
        key = self._settings.api_key.encode()
        return body.replace(key, b"***") if len(key) >= MIN_KEY_LENGTH_TO_REDACT and key in body else body

    def _redact(self, text: str) -> str:
        return text.replace(self._settings.api_key, "***")

    def _wait(self, seconds: float) -> None:
        self._waited(seconds)
        self._sleep(seconds)

    def _waited(self, seconds: float) -> None:
        with self._lock:
            self._statistics.slot_wait_seconds += seconds

    def _retried(self) -> None:
        with self._lock:
            self._statistics.retries += 1
        self.observer.count("retries")
