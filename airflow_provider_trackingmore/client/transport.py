"""Send one request over HTTP, once, and return the response, or an error that says whether the request was sent.

Errors are raised outside of the ``except`` that caught their cause, since the cause's text and frames may contain URLs
and headers.
"""

from __future__ import annotations

import functools
import http.client
import logging
import os
import platform
import re
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from importlib import metadata
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.auth import AuthBase

from airflow_provider_trackingmore import __version__
from airflow_provider_trackingmore.api.envelope import HintTexts, Request
from airflow_provider_trackingmore.api.errors import Hint, ResponseTooLargeError, TransportError
from airflow_provider_trackingmore.client.decompression import ACCEPT_ENCODING, decompress
from airflow_provider_trackingmore.client.failures import to_client_error
from airflow_provider_trackingmore.client.response_deadline import ResponseDeadlineAdapter, before_send
from airflow_provider_trackingmore.client.settings import ClientSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_CONNECT_SECONDS = 10.0
MAX_IDLE_SECONDS = 15.0
"""A connection that has been idle for longer is not reused: the server may be about to close it, and a request that
fails with its connection may or may not have been processed."""
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Response:
    """An HTTP response.

    :param status: the HTTP status.
    :param headers: the headers.
    :param body: the whole body, decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class _ApiKeyAuth(AuthBase):
    """Adds the API key to a request at the last moment, so that no variable, repr or traceback contains it.

    A session with an ``auth`` also ignores ``.netrc``.
    """

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        prepared.headers["Trackingmore-Api-Key"] = self._key
        return prepared


class Transport:
    """The connections to one account. They may be used by several threads at a time.

    :param settings: how to reach the account.
    :param hint_texts: hints for error messages, in the words of the program at hand.
    """

    def __init__(self, settings: ClientSettings, hint_texts: HintTexts | None = None) -> None:
        self._settings = settings
        self._hint_texts = hint_texts or {}
        self._idle: deque[tuple[requests.Session, float, int]] = deque()
        self._closed = False
        if settings.verify is False:
            log.warning(
                "TLS certificates of %s are not verified (verify=false), so the connection is not secure", settings.host
            )
            host = re.escape(urlsplit(settings.base_url).hostname or "")
            warnings.filterwarnings(
                "ignore", f".*request is being made to host '{host}'", urllib3.exceptions.InsecureRequestWarning
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def warm(self) -> bool:
        """Whether the next request can reuse an open connection."""
        try:
            _, since, pid = self._idle[-1]
        except IndexError:
            return False
        return pid == os.getpid() and time.monotonic() - since < MAX_IDLE_SECONDS

    def exchange(
        self,
        request: Request[T],
        *,
        on_connect: Callable[[], None] | None = None,
        on_response: Callable[[], None] | None = None,
    ) -> Response:
        """Send a request once and read its response.

        :param request: the request.
        :param on_connect: called when the connection is open, just before the request is sent; may raise.
        :param on_response: called as soon as the status and the headers of the response have arrived.
        :return: the response, whatever its status, except for redirects.
        :raises ConnectError: the request was not sent.
        :raises TLSError: the server's certificate was rejected.
        :raises ResponseLostError: the request was sent, but its response did not arrive, or not in time.
        :raises MalformedResponseError: the response is truncated, or is not HTTP.
        :raises ResponseTooLargeError: the response has more bytes than the request allows; the rest was not read.
        :raises TransportError: a redirect, or settings that cannot work.
        """
        settings = self._settings
        session = self._check_out()
        try:
            with (
                before_send(on_connect),
                session.request(
                    request.method,
                    settings.base_url + request.target,
                    data=request.encoded_body(),
                    headers=dict(request.headers),
                    timeout=(min(MAX_CONNECT_SECONDS, settings.timeout_seconds), settings.timeout_seconds),
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                if on_response is not None:
                    on_response()
                read = self._read(request, response)
        # requests raises OSError for a missing CA bundle; it is also the base class of its own errors.
        except (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException, UnicodeError) as error:
            failure = to_client_error(request.name, settings, error, self._hint_texts)
        except BaseException:  # Airflow stops a task with an exception that may be raised anywhere
            session.close()
            raise
        else:
            self._check_in(session)
            return read
        session.close()
        raise failure

    def close(self) -> None:
        """Close all connections; those in use are closed after their request."""
        self._closed = True
        while self._idle:
            session, _, pid = self._idle.pop()
            if pid == os.getpid():
                session.close()

    def _check_out(self) -> requests.Session:
        """Return a session that is not in use: requests does not guarantee that threads can share one."""
        while True:
            try:
                session, since, pid = self._idle.pop()
            except IndexError:
                return self._new_session()
            if pid != os.getpid():
                continue  # copied by a fork: the connection belongs to the parent process
            if time.monotonic() - since < MAX_IDLE_SECONDS:
                return session
            session.close()

    def _check_in(self, session: requests.Session) -> None:
        self._idle.append((session, time.monotonic(), os.getpid()))
        if self._closed:
            self.close()

    def _new_session(self) -> requests.Session:
        settings = self._settings
        session = requests.Session()
        # requests would search the environment for proxies and CA bundles before each request: half a millisecond.
        environment = session.merge_environment_settings(
            settings.base_url, dict(settings.proxies), stream=True, verify=settings.verify, cert=None
        )
        session.trust_env = False
        session.proxies, session.verify = environment["proxies"], environment["verify"]
        session.auth = _ApiKeyAuth(settings.api_key)
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            session.mount(scheme, ResponseDeadlineAdapter(pool_connections=1, pool_maxsize=1))
        session.headers.update(
            {
                "User-Agent": settings.user_agent or default_user_agent(),
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": ACCEPT_ENCODING,
            }
        )
        return session

    def _read(self, request: Request[T], response: requests.Response) -> Response:
        host = self._settings.host
        if 300 <= response.status_code < 400:
            raise TransportError(
                f"{request.name}: {host} answered {response.status_code}, a redirect to {_redirect_target(response)}. "
                "Redirects are not followed, so that the API key is sent to no other place",
                hint=Hint.CHECK_BASE_URL,
                hint_text=self._hint_texts.get(Hint.CHECK_BASE_URL),
                http_status=response.status_code,
            )
        body = bytearray()
        chunks = response.raw.stream(CHUNK_BYTES, decode_content=False)
        for piece in decompress(chunks, response.headers.get("Content-Encoding", "")):
            body += piece
            if len(body) > request.max_bytes:
                raise ResponseTooLargeError(
                    f"{request.name}: the response of {host} is larger than {request.max_bytes >> 20} MB",
                    hint=Hint.CHECK_BASE_URL,
                    hint_text=self._hint_texts.get(Hint.CHECK_BASE_URL),
                    http_status=response.status_code,
                )
        return Response(response.status_code, dict(response.headers), bytes(body))


def _redirect_target(redirect: requests.Response) -> str:
    try:
        return urlsplit(redirect.headers.get("Location", "")).hostname or "another path of the same host"
    except ValueError:
        return "an invalid address"


@functools.cache
def default_user_agent() -> str:
    """Return the versions of this package, Airflow and Python, without importing Airflow."""
    airflow = "unknown"
    for distribution in ("apache-airflow", "apache-airflow-core", "apache-airflow-task-sdk"):
        try:
            airflow = metadata.version(distribution)
            break
        except metadata.PackageNotFoundError:
            continue
    return f"airflow-provider-trackingmore/{__version__} (apache-airflow/{airflow}; python/{platform.python_version()})"
