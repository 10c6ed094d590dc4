"""Which requests are retried, when, and for how long: one tenacity policy for ``send`` and ``send_async``."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypedDict, TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter

from airflow_provider_trackingmore.api.envelope import Repeat, Request
from airflow_provider_trackingmore.api.errors import RateLimitError, Retry, TrackingMoreError
from airflow_provider_trackingmore.client.settings import MAX_COOL_DOWN_SECONDS

log = logging.getLogger(__name__)

T = TypeVar("T")

INITIAL_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0


def is_retryable(error: BaseException, request: Request[T]) -> bool:
    """Return whether a failed request may be sent again and could then succeed.

    :param error: how it failed.
    :param request: the request.
    """
    if not isinstance(error, TrackingMoreError):
        return False
    if error.retry is Retry.IF_REPEATABLE:
        return request.repeat is Repeat.ALWAYS
    return error.retry is Retry.ALWAYS


class WaitBudget:
    """How long one call may wait in total. Exchanges do not count: the transport's timeout limits them.

    :param seconds: from now; None for no limit.
    :param clock: returns monotonic seconds.
    """

    def __init__(self, seconds: float | None, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._deadline = None if seconds is None else clock() + seconds
        self.spent = False

    def remaining(self) -> float | None:
        """Return how many seconds the call may still wait, 0 or more; None for no limit."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def allows(self, seconds: float) -> bool:
        """Return whether the call may wait this long. The first wait that is too long ends the call."""
        if self._deadline is not None and self._clock() + seconds > self._deadline:
            self.spent = True
        return not self.spent


class _Arguments(TypedDict):
    stop: Callable[[RetryCallState], bool]
    wait: Callable[[RetryCallState], float]
    retry: retry_if_exception
    before_sleep: Callable[[RetryCallState], None]
    reraise: bool


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how soon a request is retried.

    :param max_attempts: how often it is sent at most, including the first time.
    :param cool_down_seconds: how long to wait after a 429, unless the server asks for longer.
    """

    max_attempts: int
    cool_down_seconds: float

    def cool_down_for(self, error: RateLimitError) -> float:
        """Return how many seconds the whole account cools down after a 429.

        This is the only place that decides it: the client stores it as the error's ``retry_after``, which the rate
        limit, the retries here and Airflow's retries use.
        """
        return min(max(self.cool_down_seconds, error.retry_after or 0.0), MAX_COOL_DOWN_SECONDS)

    def retrying(
        self, request: Request[T], budget: WaitBudget, *, sleep: Callable[[float], None], on_retry: Callable[[], None]
    ) -> Retrying:
        """Return the retry loop for one call.

        :param request: the request.
        :param budget: how long the call may wait.
        :param sleep: sleeps for seconds.
        :param on_retry: called before each retry.
        """
        return Retrying(sleep=sleep, **self._arguments(request, budget, on_retry))

    def async_retrying(
        self,
        request: Request[T],
        budget: WaitBudget,
        *,
        sleep: Callable[[float], Awaitable[None]],
        on_retry: Callable[[], None],
    ) -> AsyncRetrying:
        """Return the same retry loop for an event loop."""
        return AsyncRetrying(sleep=sleep, **self._arguments(request, budget, on_retry))

    def _arguments(self, request: Request[T], budget: WaitBudget, on_retry: Callable[[], None]) -> _Arguments:
        backoff = wait_exponential_jitter(initial=INITIAL_BACKOFF_SECONDS, max=MAX_BACKOFF_SECONDS)

        def wait(state: RetryCallState) -> float:
            error = _error(state)
            retry_after = error.retry_after if isinstance(error, TrackingMoreError) else None
            return min(retry_after, MAX_COOL_DOWN_SECONDS) if retry_after else backoff(state)

        def stop(state: RetryCallState) -> bool:
            return state.attempt_number >= self.max_attempts or not budget.allows(state.upcoming_sleep)

        def before_sleep(state: RetryCallState) -> None:
            on_retry()
            log.warning(
                "%s. Retrying in %.1f s (attempt %d of %d)",
                _error(state),
                state.upcoming_sleep,
                state.attempt_number + 1,
                self.max_attempts,
            )

        return {
            "stop": stop,
            "wait": wait,
            "retry": retry_if_exception(lambda error: not budget.spent and is_retryable(error, request)),
            "before_sleep": before_sleep,
            "reraise": True,
        }


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
