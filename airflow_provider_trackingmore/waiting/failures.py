"""Classify failed calls: what a failure affects (a shipment, a call or the account), and how long to back off."""

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
"""If this many calls in a row fail alike, the service is considered down."""
UNKNOWN_NUMBER_CODES = frozenset({4014, 4015})
"""Codes with which the vendor refuses a single number because it cannot be registered."""


class Scope(enum.Enum):
    """The scope of a failure."""

    CALL = "call"
    """This call; the next one may succeed."""
    SHIPMENT = "shipment"
    """One of the shipments that the call names: split the call to find it."""
    UNKNOWN = "unknown"
    """The single shipment that the call names: TrackingMore does not know it."""
    ACCOUNT = "account"
    """The account; a second refusal of the same kind is final."""
    RATE_LIMIT = "rate limit"
    """Nothing; the call can be made after a cool-down."""


def scope_of(error: TrackingMoreError, *, names_one: bool) -> Scope:
    """Return the scope of a failure. Only a refusal in the vendor's own envelope can be final, not one by a proxy.

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
    """Tell whether a check that failed on a worker should end the task, because the next would fail in the same way.

    Refusals by TrackingMore itself and invalid requests are final; responses of proxies, unknown codes and failures of
    the service are not.

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
