"""Translate the exceptions of requests, urllib3 and the socket module into errors that say what became of the request.

What happened is often visible only in an exception's chain of causes.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import requests
import urllib3.exceptions

from airflow_provider_trackingmore.api.envelope import HintTexts
from airflow_provider_trackingmore.api.errors import (
    ConnectError,
    Hint,
    MalformedResponseError,
    ResponseLostError,
    TLSError,
    TrackingMoreError,
    TransportError,
)
from airflow_provider_trackingmore.client.response_deadline import HandshakeError
from airflow_provider_trackingmore.client.settings import ClientSettings


def to_client_error(
    name: str, settings: ClientSettings, error: BaseException, hint_texts: HintTexts | None = None
) -> TrackingMoreError:
    """Translate an exception. The message contains neither the URL's query nor a header.

    :param name: the request in messages.
    :param settings: how to reach the account.
    :param error: the exception of requests, urllib3 or the operating system.
    :param hint_texts: hints for error messages, in the words of the program at hand.
    :return: the error to raise instead, outside of the ``except`` that caught ``error``.
    """
    host, causes = settings.host, list(_causes(error))
    reason = _reason(causes)

    def caused_by(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    def failure(cls: type[TrackingMoreError], message: str, hint: Hint | None = None) -> TrackingMoreError:
        hint_text = (hint_texts or {}).get(hint) if hint is not None else None
        return cls(f"{name}: {message}", hint=hint, hint_text=hint_text)

    if caused_by(requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        return failure(ConnectError, f"the proxy refused or could not reach {host} ({reason})", Hint.CHECK_PROXIES)
    if caused_by(urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
        return failure(ConnectError, f"no connection to {host} ({reason})", Hint.CHECK_NETWORK)
    if caused_by(HandshakeError):
        message = f"the TLS certificate of {host} was rejected ({reason})"
        return failure(TLSError, message, Hint.CHECK_CERTIFICATE)
    if caused_by(TimeoutError, requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError):
        message = f"{host} did not send a complete response within {settings.timeout_seconds:g} s"
        return failure(ResponseLostError, f"{message}; the request may have been processed")
    if caused_by(urllib3.exceptions.IncompleteRead, http.client.IncompleteRead):
        return failure(MalformedResponseError, f"the response of {host} is truncated")
    if caused_by(requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError):
        return failure(MalformedResponseError, f"the response of {host} could not be decompressed")
    if caused_by(ConnectionError, urllib3.exceptions.SSLError):
        message = f"{host} closed the connection before its response was complete ({reason})"
        return failure(ResponseLostError, f"{message}; the request may have been processed")
    if caused_by(http.client.HTTPException, urllib3.exceptions.ProtocolError, requests.exceptions.ChunkedEncodingError):
        return failure(
            MalformedResponseError, f"the response of {host} is not valid HTTP ({reason})", Hint.CHECK_BASE_URL
        )
    return failure(TransportError, f"cannot be sent to {host} ({reason})", Hint.CHECK_SETTINGS)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, but not ``__context__``: the caller may have been handling another error."""
    seen: set[int] = set()
    queue = [error]
    while queue:
        current = queue.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        linked = (*current.args, getattr(current, "reason", None), current.__cause__)
        queue.extend(cause for cause in linked if isinstance(cause, BaseException))


def _reason(causes: list[BaseException]) -> str:
    """Return the operating system's text of the innermost cause, which contains no URL, or else its class."""
    for cause in reversed(causes):
        text = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None)
        if not text and type(cause) is OSError:  # http.client about a proxy, requests about a CA bundle
            text = str(cause)
        if text:
            return str(text)[:200]
    return type(causes[-1]).__name__
