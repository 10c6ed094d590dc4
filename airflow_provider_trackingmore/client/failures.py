"""What a failed exchange means for its request: never left, lost, or answered by something else. Sends nothing.

Knows the exceptions of requests, urllib3 and the socket module, which say it only in their chains of causes.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import requests
import urllib3.exceptions

from airflow_provider_trackingmore.api.errors import (
    ConnectError,
    MalformedResponseError,
    ResponseLostError,
    TLSError,
    TrackingMoreError,
    TransportError,
)
from airflow_provider_trackingmore.client.response_deadline import HandshakeError
from airflow_provider_trackingmore.client.settings import ClientSettings


def failure_of(name: str, settings: ClientSettings, error: BaseException) -> TrackingMoreError:
    """Say what a failure means for the request, in words that hold neither the URL's query nor a header.

    :param name: the call in messages.
    :param settings: how the account is reached.
    :param error: what requests, urllib3 or the system raised.
    :return: the error to raise instead, outside of the ``except`` that caught ``error``.
    """
    host, causes = settings.host, list(_causes(error))

    def any_is(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    why = _reason(causes)
    never_left = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    if any_is(requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        return ConnectError(f"{name}: the proxy refused or could not reach {host} ({why}): check the proxies")
    if any_is(*never_left):
        return ConnectError(
            f"{name}: no connection to {host} ({why}): check the base URL (host) of the connection and the network"
        )
    if any_is(HandshakeError):
        return TLSError(
            f"{name}: the TLS certificate of {host} was not accepted ({why}): check the base URL (host) of the "
            "connection, or name the CA bundle to trust in 'verify'"
        )
    if any_is(TimeoutError, requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError):
        return ResponseLostError(
            f"{name}: {host} did not answer completely within {settings.timeout_seconds:g} s; "
            "the request may have been carried out"
        )
    if any_is(urllib3.exceptions.IncompleteRead, http.client.IncompleteRead):
        return MalformedResponseError(f"{name}: the answer of {host} was cut off")
    if any_is(requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError):
        return MalformedResponseError(f"{name}: the answer of {host} could not be decompressed")
    if any_is(ConnectionError, urllib3.exceptions.SSLError):
        return ResponseLostError(
            f"{name}: {host} closed the connection before its answer was complete ({why}); "
            "the request may have been carried out"
        )
    if any_is(http.client.HTTPException, urllib3.exceptions.ProtocolError, requests.exceptions.ChunkedEncodingError):
        return MalformedResponseError(
            f"{name}: what {host} answered is not HTTP as it should be ({why}): "
            "check the base URL (host) of the connection and any proxy in between"
        )
    return TransportError(f"{name}: cannot be sent to {host} ({why}): check base URL, proxies and 'verify'")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it; not ``__context__``, which may be an error that the caller was handling before."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        linked = (*current.args, getattr(current, "reason", None), current.__cause__)
        waiting.extend(cause for cause in linked if isinstance(cause, BaseException))


def _reason(causes: list[BaseException]) -> str:
    """The innermost cause in the system's own words, which hold no URL, or else the name of its class."""
    for cause in reversed(causes):
        words = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None)
        if not words and type(cause) is OSError:  # http.client about a proxy, requests about a CA bundle
            words = str(cause)
        if words:
            return str(words)[:200]
    return type(causes[-1]).__name__
