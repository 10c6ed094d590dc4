"""All public exceptions of the package.

Errors of the API and the client are subclasses of :class:`TrackingMoreError`. The others fail a task for good: Airflow
does not retry an ``AirflowFailException``.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_trackingmore.api.errors import (
    ActivationRequiredError,
    ApiError,
    AuthenticationError,
    BatchTooLargeError,
    CarrierNotDetectedError,
    ConnectError,
    Hint,
    InvalidArgumentError,
    InvalidRequestError,
    InvalidSettingsError,
    MalformedResponseError,
    QuotaExceededError,
    RateLimitError,
    RateLimitLockedError,
    ResponseLostError,
    ResponseTooLargeError,
    Retry,
    ServerError,
    ServiceUnavailableError,
    TLSError,
    TrackingExistsError,
    TrackingMoreError,
    TrackingNotFoundError,
    TransportError,
)
from airflow_provider_trackingmore.api.interruptions import (
    BatchInterruptedError,
    InterruptedJobError,
    LookupInterruptedError,
)
from airflow_provider_trackingmore.events.webhooks import WebhookError, WebhookSignatureError
from airflow_provider_trackingmore.loading.state import LoadStateError
from airflow_provider_trackingmore.transfers.files.errors import LoadConflictError
from airflow_provider_trackingmore.transfers.sql.errors import LoadDatabaseError


class QuotaFloorError(AirflowFailException):
    """The task would take the account's quota below ``quota_floor``. No quota was spent."""


class ShipmentsRejectedError(AirflowFailException):
    """Some shipments were rejected, and ``on_rejected`` is ``"fail"``."""


class ShipmentsMissingError(AirflowFailException):
    """Some shipments are not registered, and ``on_missing`` is ``"fail"``."""


class ShipmentsFailedError(AirflowFailException):
    """Too few shipments can still reach their status, and ``on_failed`` is ``"fail"``."""


class TooManyRowsError(AirflowFailException):
    """The list has more rows than ``max_rows``, and there is no ``path`` to write them to."""


class CarrierNotDecidedError(AirflowFailException):
    """The carrier of a number could not be decided, and ``on_undetected`` is ``"fail"``."""


__all__ = [
    "ActivationRequiredError",
    "ApiError",
    "AuthenticationError",
    "BatchInterruptedError",
    "BatchTooLargeError",
    "CarrierNotDecidedError",
    "CarrierNotDetectedError",
    "ConnectError",
    "Hint",
    "InterruptedJobError",
    "InvalidArgumentError",
    "InvalidRequestError",
    "InvalidSettingsError",
    "LoadConflictError",
    "LoadDatabaseError",
    "LoadStateError",
    "LookupInterruptedError",
    "MalformedResponseError",
    "QuotaExceededError",
    "QuotaFloorError",
    "RateLimitError",
    "RateLimitLockedError",
    "ResponseLostError",
    "ResponseTooLargeError",
    "Retry",
    "ServerError",
    "ServiceUnavailableError",
    "ShipmentsFailedError",
    "ShipmentsMissingError",
    "ShipmentsRejectedError",
    "TLSError",
    "TooManyRowsError",
    "TrackingExistsError",
    "TrackingMoreError",
    "TrackingNotFoundError",
    "TransportError",
    "WebhookError",
    "WebhookSignatureError",
]
