"""One request over the wire, once: ``Request`` -> (status, headers, body), or an error that says whether it left.

Knows ``requests``, TLS and proxies; knows no pace, no retry and no endpoint. An error is raised
outside of the ``except`` that caught its cause: the cause's text and frames may hold URLs and headers, and must not
travel with it.
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
from airflow_provider_trackingmore.api.envelope import CHECK_BASE_URL_AND_PROXY, Request
from airflow_provider_trackingmore.api.errors import ResponseTooLargeError, TransportError
from airflow_provider_trackingmore.client.decompression import ACCEPT_ENCODING, decompress
from airflow_provider_trackingmore.client.failures import failure_of
from airflow_provider_trackingmore.client.response_deadline import ResponseDeadlineAdapter, before_send
from airflow_provider_trackingmore.client.settings import ClientSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_CONNECT_SECONDS = 10.0
MAX_IDLE_SECONDS = 15.0
"""A connection that was idle for longer is not used again: the server may be about to close it, and a request that dies
with its connection may or may not have been carried out."""
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back.

    :param status: the HTTP status.
    :param headers: the answer's headers.
    :param body: the whole body, decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class _Key(AuthBase):
    """Puts the key on a request at the last moment, so that no variable, repr or traceback on the way holds it.

    That a session has an ``auth`` also keeps requests from taking one out of ``.netrc``.
    """

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        prepared.headers["Trackingmore-Api-Key"] = self._key
        return prepared


class Transport:
    """The connections to one account; may be used by several threads at a time.

    :param settings: how the account is reached.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._idle: deque[tuple[requests.Session, float, int]] = deque()
        self._closed = False
        if settings.verify is False:
            log.warning("TLS certificates of %s are not checked (verify=false): anybody may answer", settings.host)
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
        """Whether a connection is open that the next request can use."""
        try:
            _, since, pid = self._idle[-1]
        except IndexError:
            return False
        return pid == os.getpid() and time.monotonic() - since < MAX_IDLE_SECONDS

    def exchange(
        self,
        request: Request[T],
        *,
        connected: Callable[[], None] | None = None,
        answered: Callable[[], None] | None = None,
    ) -> Answer:
        """Send a request once and read its answer.

        :param request: the call.
        :param connected: called when the connection is open, just before the request is sent; may raise.
        :param answered: called as soon as the answer's first line and headers are here.
        :return: the answer, whatever its status, redirects excepted.
        :raises ConnectError: the request never left.
        :raises TLSError: the server's certificate was not accepted.
        :raises ResponseLostError: the request left; its answer did not come, or not in time.
        :raises MalformedResponseError: what came is cut off, or no HTTP.
        :raises ResponseTooLargeError: the answer has more bytes than the request allows; the rest was not read.
        :raises TransportError: a redirect, or settings that cannot work.
        """
        settings = self._settings
        session = self._check_out()
        try:
            with (
                before_send(connected),
                session.request(
                    request.method,
                    settings.base_url + request.target,
                    data=request.encoded_body(),
                    headers=dict(request.headers),
                    timeout=(min(MAX_CONNECT_SECONDS, settings.timeout_seconds), settings.timeout_seconds),
                    allow_redirects=False,
                    stream=True,
                    verify=settings.verify,
                    proxies=dict(settings.proxies),
                ) as response,
            ):
                if answered is not None:
                    answered()
                answer = self._read(request, response)
        # OSError: requests raises it for a CA bundle that is gone; it is the base of its own errors too.
        except (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException, UnicodeError) as error:
            failure = failure_of(request.name, settings, error)
        except BaseException:  # Airflow stops a task by an exception that may come anywhere
            session.close()
            raise
        else:
            self._check_in(session)
            return answer
        session.close()
        raise failure

    def close(self) -> None:
        """Close all connections; those in use are closed when their request is done."""
        self._closed = True
        while self._idle:
            session, _, pid = self._idle.pop()
            if pid == os.getpid():
                session.close()

    def _check_out(self) -> requests.Session:
        """Find or make a session that nobody else uses: requests does not promise that threads can share one."""
        while True:
            try:
                session, since, pid = self._idle.pop()
            except IndexError:
                return self._session()
            if pid != os.getpid():
                continue  # a fork has copied it; its connection belongs to the parent
            if time.monotonic() - since < MAX_IDLE_SECONDS:
                return session
            session.close()

    def _check_in(self, session: requests.Session) -> None:
        self._idle.append((session, time.monotonic(), os.getpid()))
        if self._closed:
            self.close()

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.auth = _Key(self._settings.api_key)
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            session.mount(scheme, ResponseDeadlineAdapter(pool_connections=1, pool_maxsize=1))
        session.headers.update(
            {
                "User-Agent": self._settings.user_agent or default_user_agent(),
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": ACCEPT_ENCODING,
            }
        )
        return session

    def _read(self, request: Request[T], response: requests.Response) -> Answer:
        host = self._settings.host
        if 300 <= response.status_code < 400:
            raise TransportError(
                f"{request.name}: {host} answered {response.status_code} and points to {_pointed_to(response)}. "
                "Redirects are not followed, for the key goes to no other place: "
                "put the right base URL into the host field of the connection",
                http_status=response.status_code,
            )
        body = bytearray()
        chunks = response.raw.stream(CHUNK_BYTES, decode_content=False)
        for piece in decompress(chunks, response.headers.get("Content-Encoding", "")):
            body += piece
            if len(body) > request.max_bytes:
                raise ResponseTooLargeError(
                    f"{request.name}: the answer of {host} is longer than {request.max_bytes >> 20} MB: "
                    f"{CHECK_BASE_URL_AND_PROXY}",
                    http_status=response.status_code,
                )
        return Answer(response.status_code, dict(response.headers), bytes(body))


def _pointed_to(redirect: requests.Response) -> str:
    try:
        return urlsplit(redirect.headers.get("Location", "")).hostname or "another path of the same host"
    except ValueError:
        return "an address that is none"


@functools.cache
def default_user_agent() -> str:
    """Name this package, Airflow and Python with their versions, without importing Airflow."""
    airflow = "unknown"
    for distribution in ("apache-airflow", "apache-airflow-core", "apache-airflow-task-sdk"):
        try:
            airflow = metadata.version(distribution)
            break
        except metadata.PackageNotFoundError:
            continue
    return f"airflow-provider-trackingmore/{__version__} (apache-airflow/{airflow}; python/{platform.python_version()})"
