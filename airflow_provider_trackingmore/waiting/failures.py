"""What the poller makes of a failed call: whose failure it is, and when to try again. Pure but for the jitter."""

from __future__ import annotations

import enum
import random

from airflow_provider_trackingmore.api.errors import (
    SPLITTABLE_CODES,
    ActivationRequiredError,
    ApiError,
    AuthenticationError,
    QuotaExceededError,
    RateLimitError,
    Retry,
    TLSError,
    TrackingMoreError,
    TrackingNotFoundError,
    TransportError,
)

FIRST_BACK_OFF = 5.0
MAX_BACK_OFF = 300.0
SERVICE_FAILURES = 3
"""So many calls that fail alike, one after the other, mean that the service is down."""
UNKNOWN_NUMBER_CODES = frozenset({4014, 4015})
"""Codes by which the vendor says of a single number that it cannot be registered."""


class Scope(enum.Enum):
    """What a failure concerns."""

    CALL = "call"
    """The call that failed, for now."""
    SHIPMENT = "shipment"
    """One of the shipments that the call names: halve it."""
    UNKNOWN = "unknown"
    """The one shipment that the call names: the vendor does not know it."""
    ACCOUNT = "account"
    """The account: the same refusal a second time is final."""
    RATE_LIMIT = "rate limit"
    """Nothing: the rate limiter keeps the account silent, and then the call can be made."""


def scope_of(error: TrackingMoreError, *, names_one: bool) -> Scope:
    """Tell what a failure concerns. Only what the vendor itself says, in its own envelope, is ever final.

    :param error: how the call failed.
    :param names_one: whether the call is for a single shipment by its path.
    """
    if isinstance(error, RateLimitError):
        return Scope.RATE_LIMIT
    if isinstance(error, TrackingNotFoundError):
        return Scope.UNKNOWN if names_one else Scope.SHIPMENT
    if isinstance(error, ApiError) and error.from_api:
        if isinstance(error, AuthenticationError | QuotaExceededError | ActivationRequiredError):
            return Scope.ACCOUNT
        if names_one:
            return Scope.UNKNOWN if error.code in UNKNOWN_NUMBER_CODES else Scope.CALL
        if error.code in SPLITTABLE_CODES:
            return Scope.SHIPMENT
    return Scope.CALL


def is_final(error: TrackingMoreError) -> bool:
    """Tell whether a check that failed on a worker should end the task: another one would fail in the same way.

    A refusal by TrackingMore itself is final there, and so is what is wrong on our side; answers by proxies, unknown
    codes and failures of the service are not.

    :param error: how the check failed.
    """
    if isinstance(error, ApiError):
        return error.from_api and error.retry is Retry.NEVER and type(error) is not ApiError
    return error.retry is Retry.NEVER and (isinstance(error, TLSError) or not isinstance(error, TransportError))


def back_off(failures: int, rng: random.Random, *, at_least: float | None = None) -> float:
    """Return how long to wait before the next attempt, with jitter.

    :param failures: how many attempts have failed in a row, from 1.
    :param rng: for the jitter.
    :param at_least: seconds that the server asked for.
    :return: seconds: 5, 10, 20 ... up to 300, less up to a half.
    """
    seconds = min(FIRST_BACK_OFF * 2.0 ** min(failures - 1, 10), MAX_BACK_OFF) * rng.uniform(0.5, 1.0)
    return max(seconds, at_least or 0.0)
