"""The exceptions of the API and the client, what each API code means, and which errors are worth a retry.

None of them derives from ``AirflowException``: with ``soft_fail=True`` Airflow would turn such an error into a skipped
task without a word.
"""

from __future__ import annotations

import copy
import copyreg
import enum
from typing import Self


class Retry(enum.Enum):
    """Whether sending the same request again can help."""

    NEVER = "never"
    """The response is final: the same request would be refused again."""
    IF_REPEATABLE = "if repeatable"
    """The request may have been processed: retry it only if it is idempotent."""
    ALWAYS = "always"
    """The request was not processed: a retry is safe."""


class Hint(enum.StrEnum):
    """What the user can do about an error, in words that suit any program.

    Programs that know more, such as the Airflow hook and the command line, replace the words.
    """

    CHECK_API_KEY = "check the API key"
    CHECK_BASE_URL = "check the base URL and any proxy or firewall in between"
    CHECK_NETWORK = "check the base URL and the network"
    CHECK_PROXIES = "check the proxies"
    CHECK_CERTIFICATE = "check the base URL, or set 'verify' to the CA bundle to trust"
    CHECK_SETTINGS = "check base URL, proxies and 'verify'"
    REGISTER_FIRST = "register it first"
    ACTIVATE = "ask TrackingMore's support to activate this function for your account"
    TOP_UP = "top up the account at TrackingMore, or wait for the next period of the plan"
    SPECIFY_CARRIER = "specify the carrier_code"
    SHARE_RATE_LIMIT = (
        "make all programs that use this key share one rate limit (see 'requests_per_second' and 'pacing')"
    )
    SET_WEBHOOK_VERSION = "set the version of webhooks to v2 at TrackingMore"
    SET_WEBHOOK_EMAIL = "check the e-mail address of the account: it is the key of the signature"
    LIST_CARRIERS = "list_carriers() returns all codes, detect_carrier() suggests one"


class TrackingMoreError(Exception):
    """Base class of all errors of this package.

    :param message: what happened, and to which shipment. Never contains the API key or personal data.
    :param hint: what to do about it; part of ``str(error)``, but not of ``error.message``.
    :param hint_text: the hint in the words of the program at hand; None for the words of ``hint``.
    :param code: the API's ``meta.code``, or the HTTP status of a response without one.
    :param http_status: the HTTP status, if there was a response.
    :param retry_after: seconds after which a retry can succeed, where known: what the server asked for
        (``Retry-After``), or how long the account cools down after a 429.
    :param from_api: whether TrackingMore itself refused the request, in its own envelope (``meta.code``). False if a
        proxy or firewall did, and for all errors that are not refusals.
    """

    retry: Retry = Retry.NEVER

    def __init__(
        self,
        message: str,
        *,
        hint: Hint | None = None,
        hint_text: str | None = None,
        code: int | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
        from_api: bool = False,
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.hint_text = hint_text or (hint.value if hint is not None else "")
        self.code = code
        self.http_status = http_status
        self.retry_after = retry_after
        self.from_api = from_api

    def __str__(self) -> str:
        return f"{self.message}: {self.hint_text}" if self.hint_text else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    @property
    def message(self) -> str:
        """What happened, without the hint."""
        return str(self.args[0]) if self.args else ""

    def replace(self, *, message: str | None = None, retry_after: float | None = None) -> Self:
        """Return a copy with another message or another delay.

        :param message: replaces the message; None keeps it.
        :param retry_after: replaces the delay, in seconds; None keeps it.
        :return: the copy.
        """
        replaced = copy.copy(self)
        replaced.args = (self.message if message is None else message,)
        replaced.retry_after = self.retry_after if retry_after is None else retry_after
        return replaced


class InvalidArgumentError(TrackingMoreError, ValueError):
    """An argument cannot be used. Raised before any request is sent."""


class InvalidSettingsError(TrackingMoreError, ValueError):
    """A setting of the client is invalid. Raised before any request is sent."""


# No complete response ------------------------------------------------------------------------------------------------


class TransportError(TrackingMoreError):
    """The request failed without a complete response."""


class ConnectError(TransportError):
    """No connection (refused, unknown host, connect timeout, a proxy's 407): the request was not sent."""

    retry = Retry.ALWAYS


class TLSError(TransportError):
    """The server's certificate was rejected: the request was not sent, and a retry would fail in the same way."""


class RateLimitLockedError(TransportError):
    """Another process holds the lock of the account's rate limit: the request was not sent."""

    retry = Retry.ALWAYS


class ResponseLostError(TransportError):
    """The request was sent, but its response was lost (read timeout, reset): it may have been processed."""

    retry = Retry.IF_REPEATABLE


class MalformedResponseError(TrackingMoreError):
    """The response is not one of the API's (HTML, truncated JSON, no body): the request may have been processed."""

    retry = Retry.IF_REPEATABLE


class ResponseTooLargeError(MalformedResponseError):
    """The response has more rows or bytes than the request can have asked for; reading it was aborted."""

    retry = Retry.NEVER


# Refusals ------------------------------------------------------------------------------------------------------------


class ApiError(TrackingMoreError):
    """The request was refused: by the API (``from_api``), or by a proxy or firewall in between."""


class AuthenticationError(ApiError):
    """The API key is missing, wrong, deleted or not allowed to do this (401, 403, 4001, 4002)."""


class InvalidRequestError(ApiError):
    """The API rejects the request as invalid (4012-4015, 4033, 404, 405, 409)."""


class TrackingExistsError(ApiError):
    """The shipment is already registered (4016)."""


class TrackingNotFoundError(ApiError):
    """The shipment is not registered, or the result is empty (4017, 4031)."""


class ActivationRequiredError(ApiError):
    """TrackingMore's support must activate this function for the account first (4018)."""


class QuotaExceededError(ApiError):
    """The balance or quota of the account is used up (402, 4019, 4021)."""


class BatchTooLargeError(ApiError):
    """One request has more items than the API accepts (4020): send fewer."""


class CarrierNotDetectedError(ApiError):
    """The API cannot detect the carrier of the number (4032)."""


class RateLimitError(ApiError):
    """Too many requests (429): the whole account must cool down before the next one."""

    retry = Retry.ALWAYS


class ServiceUnavailableError(ApiError):
    """The service did not process the request (503)."""

    retry = Retry.ALWAYS


class ServerError(ApiError):
    """The server failed while it processed the request (500, 502, 504 and so on): it may have been processed."""

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
"""The API's table of codes (reference 2.1), for ``meta.code`` and HTTP statuses alike."""

BY_STATUS: dict[int, type[TrackingMoreError]] = {
    407: ConnectError,
    408: ServerError,
    425: ServiceUnavailableError,
}
"""HTTP statuses of proxies and gateways, which are not in the API's table (RFC 9110, RFC 8470)."""

HINTS: dict[type[ApiError], Hint] = {
    AuthenticationError: Hint.CHECK_API_KEY,
    TrackingNotFoundError: Hint.REGISTER_FIRST,
    ActivationRequiredError: Hint.ACTIVATE,
    QuotaExceededError: Hint.TOP_UP,
    CarrierNotDetectedError: Hint.SPECIFY_CARRIER,
    RateLimitError: Hint.SHARE_RATE_LIMIT,
}
"""The hint for a refusal by the API."""

SPLITTABLE_CODES = frozenset({4012, 4013, 4014, 4015, 4016, 4017, 4020, 4031, 4032, 4033})
"""Codes that a single shipment can cause for a whole request: split the request to find it."""


def error_class(code: int) -> type[ApiError]:
    """Return the exception class for a code that does not mean success.

    :param code: the API's ``meta.code`` or an HTTP status.
    :return: the class from the API's table; :class:`ServerError` for any other 5xx, else :class:`ApiError`.
    """
    if code in BY_CODE:
        return BY_CODE[code]
    return ServerError if 500 <= code <= 599 else ApiError


def status_class(status: int) -> type[TrackingMoreError]:
    """Return the exception class for an HTTP error without the API's envelope.

    :param status: the HTTP status, 400 or more.
    :return: the class.
    """
    return BY_STATUS.get(status) or error_class(status)
