"""What is tried again, when, and for how long: the one tenacity policy for ``send`` and ``send_async``.

Decides and logs; the sleeping and the clock are passed in. Knows no HTTP: every error brings what matters.
"""

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

FIRST_WAIT_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0


def is_worth_repeating(error: BaseException, request: Request[T]) -> bool:
    """Decide whether a failed request may be sent again and could then succeed.

    :param error: how it failed.
    :param request: what was sent.
    """
    if not isinstance(error, TrackingMoreError):
        return False
    if error.retry is Retry.IF_REPEATABLE:
        return request.repeat is Repeat.ALWAYS
    return error.retry is Retry.ALWAYS


class Budget:
    """How long one call may wait, all its waits together. The exchanges have the transport's time-out.

    :param seconds: from now; None is for ever.
    :param clock: seconds that never go back.
    """

    def __init__(self, seconds: float | None, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = None if seconds is None else clock() + seconds
        self.spent = False

    def remaining(self) -> float | None:
        """Seconds that the call may still wait, 0 or more; None is for ever."""
        return None if self._until is None else max(0.0, self._until - self._clock())

    def allows(self, seconds: float) -> bool:
        """Ask before a wait; the first one that is too long ends the call."""
        if self._until is not None and self._clock() + seconds > self._until:
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
    """How often and how soon a call is tried again.

    :param max_attempts: the first time included.
    :param cool_down_seconds: wait after a 429, unless the server asks for longer.
    """

    max_attempts: int
    cool_down_seconds: float

    def cool_down(self, error: RateLimitError) -> float:
        """Decide how long the whole account keeps silent after a 429, in seconds.

        This is the only place that does: the client stores it as the error's ``retry_after``, by which go the slot
        clock, the repetitions here and Airflow's retries.
        """
        return min(max(self.cool_down_seconds, error.retry_after or 0.0), MAX_COOL_DOWN_SECONDS)

    def retrying(
        self, request: Request[T], budget: Budget, *, sleep: Callable[[float], None], on_retry: Callable[[], None]
    ) -> Retrying:
        """Make the loop for one call.

        :param request: the call.
        :param budget: how long it may wait.
        :param sleep: waits for seconds.
        :param on_retry: called once for each repetition.
        """
        return Retrying(sleep=sleep, **self._arguments(request, budget, on_retry))

    def async_retrying(
        self,
        request: Request[T],
        budget: Budget,
        *,
        sleep: Callable[[float], Awaitable[None]],
        on_retry: Callable[[], None],
    ) -> AsyncRetrying:
        """Make the same loop for an event loop."""
        return AsyncRetrying(sleep=sleep, **self._arguments(request, budget, on_retry))

    def _arguments(self, request: Request[T], budget: Budget, on_retry: Callable[[], None]) -> _Arguments:
        backoff = wait_exponential_jitter(initial=FIRST_WAIT_SECONDS, max=LONGEST_BACKOFF_SECONDS)

        def wait(state: RetryCallState) -> float:
            error = _error(state)
            asked = error.retry_after if isinstance(error, TrackingMoreError) else None
            return min(asked, MAX_COOL_DOWN_SECONDS) if asked else backoff(state)

        def stop(state: RetryCallState) -> bool:
            return state.attempt_number >= self.max_attempts or not budget.allows(state.upcoming_sleep)

        def announce(state: RetryCallState) -> None:
            on_retry()
            log.warning(
                "%s; attempt %d of %d in %.1f s",
                _error(state),
                state.attempt_number + 1,
                self.max_attempts,
                state.upcoming_sleep,
            )

        return {
            "stop": stop,
            "wait": wait,
            "retry": retry_if_exception(lambda error: not budget.spent and is_worth_repeating(error, request)),
            "before_sleep": announce,
            "reraise": True,
        }


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
