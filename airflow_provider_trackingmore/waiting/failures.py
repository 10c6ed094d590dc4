"""Classify failed calls: what a failure affects (a shipment, a call or the account), and when to retry."""

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
"""After this many calls in a row that fail alike, the service is considered down."""
UNKNOWN_NUMBER_CODES = frozenset({4014, 4015})
"""Codes with which the vendor says that a single number cannot be registered."""


class Scope(enum.Enum):
    """Which calls a failure is about."""

    CALL = "call"
    """Only this call, for now."""
    SHIPMENT = "shipment"
    """One of the shipments that the call names: split the call in two."""
    UNKNOWN = "unknown"
    """The single shipment that the call names: the vendor does not know it."""
    ACCOUNT = "account"
    """The account: a second refusal of the same kind is final."""
    RATE_LIMIT = "rate limit"
    """Nothing: the account cools down, and then the call can be made."""


def scope_of(error: TrackingMoreError, *, names_one: bool) -> Scope:
    """Tell which calls a failure is about. Only what the vendor itself says, in its own envelope, can be final.

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
    """Tell whether a check that failed on a worker should end the task, because another would fail in the same way.

    Refusals by TrackingMore itself and mistakes on our side are final there; responses of proxies, unknown codes and
    failures of the service are not.

    :param error: how the check failed.
    """
    if isinstance(error, ApiError):
        return error.from_api and error.retry is Retry.NEVER and type(error) is not ApiError
    return error.retry is Retry.NEVER and (isinstance(error, TLSError) or not isinstance(error, TransportError))


def back_off(failures: int, rng: random.Random, *, at_least: float | None = None) -> float:
    """Return how long to wait before the next attempt, with jitter.

    :param failures: how many attempts have failed in a row, from 1.
    :param rng: for the jitter.
    :param at_least: the pause in seconds that the server asked for.
    :return: seconds: 5, 10, 20 ... up to 300, shortened at random by up to a half.
    """
    seconds = min(FIRST_BACK_OFF * 2.0 ** min(failures - 1, 10), MAX_BACK_OFF) * rng.uniform(0.5, 1.0)
    return max(seconds, at_least or 0.0)
