"""Which calls are retried, after which pauses, and when retries end; without a socket, and without real sleeps."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable

import pytest

from airflow_provider_trackingmore.api.envelope import Repeat, Request
from airflow_provider_trackingmore.api.errors import (
    AuthenticationError,
    ConnectError,
    RateLimitError,
    ResponseLostError,
    ServiceUnavailableError,
    TrackingMoreError,
)
from airflow_provider_trackingmore.client.retry import RetryPolicy, WaitBudget, is_retryable

SAFE: Request[object] = Request(method="GET", path="/trackings/get", parse=lambda data: data)
COSTLY: Request[object] = Request(
    method="POST", path="/carriers/detect", parse=lambda data: data, repeat=Repeat.UNLESS_SENT
)


class Run:
    """One call under the policy, which fails with each given error and then succeeds. Records how long it slept."""

    def __init__(
        self, *errors: Exception, attempts: int = 5, cool_down: float = 120, budget: float | None = None
    ) -> None:
        self.errors = list(errors)
        self.slept: list[float] = []
        self.tried = self.retries = 0
        self.now = 0.0
        self.policy = RetryPolicy(attempts, cool_down)
        self.budget = WaitBudget(budget, lambda: self.now)

    def attempt(self) -> str:
        self.tried += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def count_retry(self) -> None:
        self.retries += 1

    def run(self, request: Request[object] = SAFE) -> str:
        return self.policy.retrying(request, self.budget, sleep=self.sleep, on_retry=self.count_retry)(self.attempt)

    def run_async(self, request: Request[object] = SAFE) -> str:
        async def sleep(seconds: float) -> None:
            self.sleep(seconds)

        async def attempt() -> str:
            return self.attempt()

        return asyncio.run(
            self.policy.async_retrying(request, self.budget, sleep=sleep, on_retry=self.count_retry)(attempt)
        )


Mode = Callable[[Run], str]
both_modes = pytest.mark.parametrize("mode", [Run.run, Run.run_async])


@pytest.mark.parametrize(
    ("error", "safe", "costly"),
    [
        (ConnectError("x"), True, True),
        (RateLimitError("x"), True, True),
        (ServiceUnavailableError("x"), True, True),
        (ResponseLostError("x"), True, False),
        (AuthenticationError("x"), False, False),
        (TrackingMoreError("x"), False, False),
        (ValueError("x"), False, False),
        (KeyboardInterrupt(), False, False),
    ],
)
def test_only_retries_that_are_safe_and_can_help_are_made(error: BaseException, safe: bool, costly: bool) -> None:
    assert is_retryable(error, SAFE) is safe
    assert is_retryable(error, COSTLY) is costly


@both_modes
def test_waits_double_from_one_second_to_sixty_with_jitter(mode: Mode) -> None:
    run = Run(*[ConnectError("x")] * 9, attempts=10)
    assert mode(run) == "done"
    assert run.retries == 9
    for slept, shortest in zip(run.slept, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert shortest <= slept <= min(shortest + 1, 60)
    assert len(set(run.slept)) >= 6


@both_modes
def test_the_last_error_is_raised_when_the_attempts_are_used_up(mode: Mode) -> None:
    errors = [ConnectError(str(number)) for number in range(9)]
    run = Run(*errors, attempts=3)
    with pytest.raises(ConnectError) as caught:
        mode(run)
    assert caught.value is errors[2]
    assert (run.tried, len(run.slept)) == (3, 2)


def test_retry_after_is_honoured_when_it_is_longer() -> None:
    run = Run(ServiceUnavailableError("x", retry_after=30), ServiceUnavailableError("x", retry_after=0))
    run.run()
    assert run.slept[0] == 30
    assert 2 <= run.slept[1] <= 3


@pytest.mark.parametrize(("asked", "seconds"), [(None, 120), (7, 120), (300, 300), (99_999, 3600)])
def test_the_account_cools_down_for_the_configured_time_or_longer_if_the_server_says_so(
    asked: float | None, seconds: float
) -> None:
    assert RetryPolicy(5, 120).cool_down_for(RateLimitError("x", retry_after=asked)) == seconds


def test_no_server_can_impose_more_than_an_hour() -> None:
    run = Run(RateLimitError("x", retry_after=99_999), ServiceUnavailableError("x", retry_after=99_999))
    run.run()
    assert run.slept == [3600, 3600]


@both_modes
def test_a_wait_beyond_the_budget_raises_the_last_error_at_once(mode: Mode) -> None:
    error = RateLimitError("x", retry_after=120)
    run = Run(ConnectError("y"), error, budget=60)
    with pytest.raises(RateLimitError) as caught:
        mode(run)
    assert caught.value is error
    assert run.now < 3
    assert run.tried == 2


def test_a_spent_budget_allows_nothing() -> None:
    budget = WaitBudget(10, lambda: 0.0)
    assert budget.allows(10)
    assert not budget.allows(11)
    assert not budget.allows(1)
    assert budget.spent
    assert WaitBudget(None, lambda: 0.0).allows(1e12)


def test_each_retry_is_logged_once_with_its_delay(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Run(ConnectError("GET /x: no connection"), RateLimitError("GET /x: 429", retry_after=120)).run()
    first, second = (record.getMessage() for record in caplog.records)
    assert re.fullmatch(r"GET /x: no connection\. Retrying in (?:1\.\d|2\.0) s \(attempt 2 of 5\)", first)
    assert second == "GET /x: 429. Retrying in 120.0 s (attempt 3 of 5)"


def test_a_cancelled_call_is_not_retried() -> None:
    run = Run()

    async def cancelled() -> None:
        run.tried += 1
        raise asyncio.CancelledError

    async def sleep(_: float) -> None:
        raise AssertionError("nothing to wait for")

    retrying = run.policy.async_retrying(SAFE, run.budget, sleep=sleep, on_retry=run.count_retry)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(retrying(cancelled))
    assert run.tried == 1
