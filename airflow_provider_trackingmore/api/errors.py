"""The exception tree. Knows what each of the vendor's codes means and whether trying again can help; sends nothing.

No class here derives from ``AirflowException``: with ``soft_fail=True`` Airflow would turn such an error into a silent
skip (DESIGN, decision 5).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_trackingmore.api.reports import BatchReport


class Retry(enum.Enum):
    """Whether the same request may help when it is sent again."""

    NEVER = "never"
    """The answer is definite: the same request will be refused again."""
    IF_REPEATABLE = "if repeatable"
    """The request may have been carried out: repeat it only when carrying it out twice does no harm."""
    ALWAYS = "always"
    """The request was certainly not carried out: repeating it is safe."""


class TrackingMoreError(Exception):
    """Whatever can go wrong between this package and TrackingMore.

    :param message: what happened, to which shipment, and what to do next. Never holds the key or personal data.
    :param code: the vendor's ``meta.code``; the HTTP status where an answer was refused without one.
    :param http_status: the HTTP status, where there was an answer.
    :param retry_after: seconds to wait before the call can succeed, where that is known: what the server asked for
        (``Retry-After``), or how long the account keeps silent after a 429.
    :param from_api: whether TrackingMore itself refused the call, in its own envelope (``meta.code``). False for a
        refusal by a proxy or a firewall, and for everything that is no refusal.
    :param report: for calls about many shipments, the account of every shipment at the moment of the error.

    ``found`` is, for jobs of several calls that look something up, what the calls before the failing one have brought,
    in the form of the job's result; None otherwise.
    """

    retry: Retry = Retry.NEVER

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
        from_api: bool = False,
        report: BatchReport | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = http_status
        self.retry_after = retry_after
        self.from_api = from_api
        self.report = report
        self.found: Any = None

    @property
    def message(self) -> str:
        """The text of the error."""
        return str(self.args[0]) if self.args else ""


class InvalidArgumentError(TrackingMoreError, ValueError):
    """An argument cannot be sent at all; found before any call."""


# Between the two ends ------------------------------------------------------------------------------------------------


class TransportError(TrackingMoreError):
    """There is no complete answer."""


class ConnectError(TransportError):
    """No connection (refused, unknown host, connect time-out, a proxy's 407): the request never left."""

    retry = Retry.ALWAYS


class TLSError(TransportError):
    """The server's certificate was not accepted: the request never left, and will not until the cause is mended."""


class RateLimitLockedError(TransportError):
    """Another process keeps the account's slot clock locked, so the call could not be paced: the request never left."""

    retry = Retry.ALWAYS


class ResponseLostError(TransportError):
    """The request left, its answer did not arrive (read time-out, reset): it may have been carried out."""

    retry = Retry.IF_REPEATABLE


class MalformedResponseError(TrackingMoreError):
    """An answer arrived that is not the vendor's (HTML, cut-off JSON, nothing at all): it may have been carried out."""

    retry = Retry.IF_REPEATABLE


class ResponseTooLargeError(MalformedResponseError):
    """The answer has more rows or bytes than the call can have asked for; it was refused while it was read."""

    retry = Retry.NEVER


# What the vendor said ------------------------------------------------------------------------------------------------


class ApiError(TrackingMoreError):
    """The call was refused: by the vendor (``from_api``), or by a proxy or a firewall on the way to it."""


class AuthenticationError(ApiError):
    """The key is missing, wrong, deleted or not allowed to do this (401, 403, 4001, 4002)."""


class InvalidRequestError(ApiError):
    """The vendor does not accept the request (4012-4015, 4033, 404, 405, 409)."""


class TrackingExistsError(ApiError):
    """The shipment is registered already (4016)."""


class TrackingNotFoundError(ApiError):
    """The shipment is not registered, or the answer would be empty (4017, 4031)."""


class ActivationRequiredError(ApiError):
    """The function must first be activated by the vendor's support (4018)."""


class QuotaExceededError(ApiError):
    """The balance or the quota of the account is used up (402, 4019, 4021)."""


class BatchTooLargeError(ApiError):
    """More items in one call than the vendor takes (4020): send fewer."""


class CarrierNotDetectedError(ApiError):
    """The vendor cannot tell which carrier the number belongs to (4032)."""


class RateLimitError(ApiError):
    """Too many requests (429): the whole account is silent until the cool-down is over."""

    retry = Retry.ALWAYS


class ServiceUnavailableError(ApiError):
    """The service refused to work on the request (503)."""

    retry = Retry.ALWAYS


class ServerError(ApiError):
    """The server failed while it worked on the request (500, 502, 504 and their kin): it may have been carried out."""

    retry = Retry.IF_REPEATABLE


BY_CODE: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    402: QuotaExceededError,
    403: AuthenticationError,
    404: InvalidRequestError,
    405: InvalidRequestError,
    409: InvalidRequestError,
    429: RateLimitError,
    500: ServerError,
    503: ServiceUnavailableError,
    4001: AuthenticationError,
    4002: AuthenticationError,
    4012: InvalidRequestError,
    4013: InvalidRequestError,
    4014: InvalidRequestError,
    4015: InvalidRequestError,
    4016: TrackingExistsError,
    4017: TrackingNotFoundError,
    4018: ActivationRequiredError,
    4019: QuotaExceededError,
    4020: BatchTooLargeError,
    4021: QuotaExceededError,
    4031: TrackingNotFoundError,
    4032: CarrierNotDetectedError,
    4033: InvalidRequestError,
}
"""The vendor's table (reference 2.1), for ``meta.code`` and HTTP status alike."""

BY_STATUS: dict[int, type[TrackingMoreError]] = {
    407: ConnectError,
    408: ServerError,
    425: ServiceUnavailableError,
}
"""HTTP statuses of proxies and gateways, which the vendor's table does not have (RFC 9110, RFC 8470)."""

HINTS: dict[type[ApiError], str] = {
    AuthenticationError: "check the API key in the password field of the Airflow connection",
    TrackingNotFoundError: "run CreateTrackingsOperator first",
    ActivationRequiredError: "ask TrackingMore's support to activate this function for your account",
    QuotaExceededError: "top up the account at TrackingMore, or wait for the next period of the plan",
    CarrierNotDetectedError: "give the carrier_code yourself",
    RateLimitError: "let every program that uses this key share one pace (see 'requests_per_second' and 'pacing')",
}
"""What a user can do about it; appended to the vendor's own words."""


SPLITTABLE_CODES = frozenset({4012, 4013, 4014, 4015, 4016, 4017, 4020, 4031, 4032, 4033})
"""Codes that a single shipment can cause for a whole request: split the request to find it."""


def error_class(code: int) -> type[ApiError]:
    """Choose the class for a code that is not success.

    :param code: the vendor's ``meta.code`` or an HTTP status.
    :return: the class from the vendor's table; any other 5xx is :class:`ServerError`, anything else :class:`ApiError`.
    """
    if code in BY_CODE:
        return BY_CODE[code]
    return ServerError if 500 <= code <= 599 else ApiError


def status_class(status: int) -> type[TrackingMoreError]:
    """Choose the class for an HTTP error without the vendor's envelope.

    :param status: the HTTP status, 400 or more.
    :return: the class.
    """
    return BY_STATUS.get(status) or error_class(status)
