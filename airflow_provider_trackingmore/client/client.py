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

from airflow_provider_trackingmore.api.envelope import HintTexts, Request, parse_response
from airflow_provider_trackingmore.api.errors import ConnectError, RateLimitError, TrackingMoreError
from airflow_provider_trackingmore.client.call import Call, SlotMissedError
from airflow_provider_trackingmore.client.executor import MAX_THREADS, account_executor
from airflow_provider_trackingmore.client.observer import Observer
from airflow_provider_trackingmore.client.rate_limit.clock import RateLimiter, SlotBusy
from airflow_provider_trackingmore.client.rate_limit.stores import open_store
from airflow_provider_trackingmore.client.rate_limit.usage import AccountUsage
from airflow_provider_trackingmore.client.rate_limit.usage_stores import open_usage
from airflow_provider_trackingmore.client.retry import RetryPolicy, WaitBudget
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.client.transport import Transport

T = TypeVar("T")

THREAD_START_SECONDS = 0.5
"""How long an idle thread may need to start on a busy machine, even if the caller does not want to wait."""
MIN_KEY_LENGTH_TO_REDACT = 12
"""Shorter keys (such as "demo" in the sandbox) may occur in a response by chance; real keys are longer."""


@dataclass
class Statistics:
    """Counters of a client.

    :param requests: requests sent, retries included.
    :param retries: retries.
    :param rate_limited: responses with 429.
    :param slot_wait_seconds: how long callers waited for the rate limit.
    """

    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    slot_wait_seconds: float = 0.0


class TrackingMoreClient:
    """Sends requests to one account. It may be used by several threads and event loops at a time.

    :param settings: how to reach the account.
    :param clock: returns seconds, for the rate limit and for waiting budgets; None for the system's clocks.
    :param sleep: how :meth:`send` sleeps.
    :param async_sleep: how :meth:`send_async` sleeps.
    :param observer: receives metrics.
    :param hint_texts: hints for error messages, in the words of the program that uses the client.
    :param component: the kind of this process, such as ``"worker"``: who shares the rate limit is recorded by it.
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        observer: Observer | None = None,
        hint_texts: HintTexts | None = None,
        component: str = "worker",
    ) -> None:
        self.observer = observer or Observer()
        self._settings = settings
        self._clock = clock or time.monotonic
        self._sleep = sleep
        self._async_sleep = async_sleep
        self._hint_texts = hint_texts or {}
        self._transport = Transport(settings, self._hint_texts)
        self._executor = account_executor(settings.fingerprint)
        self._policy = RetryPolicy(settings.max_attempts, settings.cool_down_seconds)
        # Processes that share a file do not share a monotonic clock (two hosts, a restart), so they use the wall clock.
        self._shared_clock = shared_clock = clock or time.time
        self._component = component
        name = settings.fingerprint

        def limiter(name: str, rate: float) -> RateLimiter:
            store = open_store(settings.pacing, name, interval=1 / rate)
            return RateLimiter(store, interval=1 / rate, clock=shared_clock)

        self._limiter = self._realtime_limiter = limiter(name, settings.requests_per_second)
        if settings.realtime_requests_per_second is not None:
            self._realtime_limiter = limiter(f"{name}-realtime", settings.realtime_requests_per_second)
        self._usage = open_usage(settings.pacing, name)
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
        """How to reach the account."""
        return self._settings

    @property
    def account(self) -> str:
        """The fingerprint of the API key, which identifies the account in logs and file names."""
        return self._settings.fingerprint

    @property
    def route(self) -> str:
        """Identifies the account and the way to it: host, proxies, and how the server's certificate is verified."""
        return self._settings.route

    @property
    def statistics(self) -> Statistics:
        """A copy of the counters."""
        with self._lock:
            return replace(self._statistics)

    def is_free(self) -> bool:
        """Return whether the rate limit would let a request be sent now.

        :return: False while another request is on its way, or the account cools down after a 429.
        """
        return self._limiter.is_free()

    def read_usage(self) -> tuple[AccountUsage, str]:
        """Read how all processes that share the rate limit have used the account. This blocks for a moment.

        :return: the usage of the last day, and the scope of its store: readings with the same scope are the same usage.
        """
        return self._usage.read(self._shared_clock()), self._usage.scope

    def cool_down_seconds(self) -> float:
        """Return for how long the account sends nothing after a 429, in seconds; 0 if it does not cool down."""
        return self._limiter.cool_down_seconds()

    def close(self) -> None:
        """Close all connections and end idle threads. A closed client can be used again."""
        self._transport.close()
        self._executor.shutdown()

    def send(self, request: Request[T], *, max_wait_seconds: float | None = None) -> T:
        """Send a request as soon as the rate limit allows, and parse its response.

        :param request: the request.
        :param max_wait_seconds: maximum total time to wait, for the rate limit and before retries; None for no limit.
            If the next wait would exceed it, the last error is raised at once. Each exchange is limited by
            ``timeout_seconds`` in addition.
        :return: the result of ``request.parse``.
        :raises TrackingMoreError: the server's refusal, or why there is no response.
        """
        call = self._start_call(request, max_wait_seconds)

        def attempt() -> T:
            while isinstance(step := self._step(request, call), SlotBusy):
                self._wait(call.pause(step))
            return step

        loop = self._policy.retrying(request, call.budget, sleep=self._sleep, on_retry=self._count_retry)
        return loop(attempt)

    async def send_async(
        self, request: Request[T], *, max_wait_seconds: float | None = None, max_attempts: int | None = None
    ) -> T:
        """Send a request like :meth:`send`, without blocking the event loop.

        The loop waits for the slot. Acquiring it, the exchange and parsing the response happen in one thread of the
        account's own executor. The thread acquires the slot itself, so that no time passes between that and sending,
        however busy the threads are, and a cancelled call leaves the rate limit in order.

        :param request: the request.
        :param max_wait_seconds: as for :meth:`send`; waiting for a thread counts too.
        :param max_attempts: how often to send it at most; None for the number in the settings.
        :return: as for :meth:`send`.
        :raises TrackingMoreError: as for :meth:`send`.
        """
        call = self._start_call(request, max_wait_seconds)

        async def attempt() -> T:
            while isinstance(step := await self._step_in_thread(request, call), SlotBusy):
                self._count_wait(seconds := call.pause(step))
                await self._async_sleep(seconds)
            return step

        policy = self._policy if max_attempts is None else replace(self._policy, max_attempts=max_attempts)
        loop = policy.async_retrying(request, call.budget, sleep=self._async_sleep, on_retry=self._count_retry)
        return await loop(attempt)

    def _start_call(self, request: Request[T], max_wait_seconds: float | None) -> Call:
        limiter = self._realtime_limiter if request.realtime else self._limiter
        return Call(request.name, self._settings.fingerprint, limiter, WaitBudget(max_wait_seconds, self._clock))

    async def _step_in_thread(self, request: Request[T], call: Call) -> T | SlotBusy:
        run = contextvars.copy_context().run
        future = self._executor.submit(run, self._step, request, call)
        step = asyncio.wrap_future(future)
        try:
            remaining = call.budget.remaining()
            patience = None if remaining is None else max(remaining, THREAD_START_SECONDS)
            done, _ = await asyncio.wait({step}, timeout=patience)
            if not done and future.cancel():  # no thread has started it; if one has, the transport's timeout limits it
                raise call.last_error or ConnectError(
                    f"{request.name}: not sent. All {MAX_THREADS} threads of this account are busy with earlier "
                    "requests for longer than this one may wait"
                )
            return await step
        finally:
            step.cancel()

    def _step(self, request: Request[T], call: Call) -> T | SlotBusy:
        """Acquire a slot and exchange request and response, or return how long to wait for the slot."""
        warm = self._transport.warm
        if busy := call.acquire(warm=warm):
            return busy
        if not call.missed_slot:
            with self._lock:
                self._statistics.requests += 1
            self.observer.count("requests")
        self.observer.timing("slot_wait", call.reset_waiting())
        started = self._clock()
        call.missed_slot = False
        error: TrackingMoreError
        try:
            response = self._transport.exchange(
                request,
                on_connect=lambda: call.acquire_again_if_late(self._wait),
                on_response=lambda: call.release(warm=warm),
            )
            headers = {name: self._redact(value) for name, value in response.headers.items()}
            body = self._redact_body(response.body)
            return parse_response(request, response.status, headers, body, hint_texts=self._hint_texts)
        except SlotMissedError as missed:
            call.missed_slot = True
            return missed.busy
        except TrackingMoreError as caught:
            error = caught
        finally:
            if not call.missed_slot:
                self.observer.timing("exchange", self._clock() - started)
                if self._limiter.is_available:  # else each call would wait for a server that hangs
                    self._usage.record_call(self._component, self._shared_clock())
        if isinstance(error, RateLimitError):
            error = self._start_cool_down(error, call)
        if self._settings.api_key in error.message:
            error = error.replace(message=self._redact(error.message))
        call.last_error = error
        raise error

    def _start_cool_down(self, error: RateLimitError, call: Call) -> RateLimitError:
        seconds = self._policy.cool_down_for(error)
        self._limiter.penalize(seconds, timeout=call.lock_timeout())
        if self._realtime_limiter is not self._limiter:
            self._realtime_limiter.penalize(seconds, timeout=call.lock_timeout())
        with self._lock:
            self._statistics.rate_limited += 1
        self.observer.count("rate_limited")
        if self._limiter.is_available:
            self._usage.record_429(self._shared_clock())
        return error.replace(retry_after=seconds)

    def _redact_body(self, body: bytes) -> bytes:
        """Keep the API key out of results and messages, even if the server echoes it."""
        key = self._settings.api_key.encode()
        return body.replace(key, b"***") if len(key) >= MIN_KEY_LENGTH_TO_REDACT and key in body else body

    def _redact(self, text: str) -> str:
        return text.replace(self._settings.api_key, "***")

    def _wait(self, seconds: float) -> None:
        self._count_wait(seconds)
        self._sleep(seconds)

    def _count_wait(self, seconds: float) -> None:
        with self._lock:
            self._statistics.slot_wait_seconds += seconds

    def _count_retry(self) -> None:
        with self._lock:
            self._statistics.retries += 1
        self.observer.count("retries")
