"""The settings of a client, and their validation."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from airflow_provider_trackingmore.api import limits
from airflow_provider_trackingmore.api.errors import Hint, InvalidSettingsError
from airflow_provider_trackingmore.api.formatting import format_value

PACING_CHOICES = ("file", "memory")
REDIS_SCHEMES = ("redis", "rediss", "unix")
MAX_COOL_DOWN_SECONDS = 3600.0
"""The longest cool-down, even if a server or a damaged state demands more: after an hour, a request is worth a try."""
MIN_REQUESTS_PER_SECOND = 0.001
MAX_REQUESTS_PER_SECOND = 10_000.0

_VENDOR = "trackingmore.com"
_VERSION = re.compile(r"/v([0-9][0-9.]*)$", re.IGNORECASE)
"""Responses of v3 and v4 look alike but mean different things: they would be misread silently."""


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """How to reach an account.

    :param api_key: the account's key; not part of any message or repr.
    :param base_url: the URL of the API including the version, ``http`` or ``https``. On the vendor's hosts it ends in
        ``/v2``; on other hosts it may end in anything but another version.
    :param requests_per_second: the rate limit of the account.
    :param cool_down_seconds: how long the whole account sends nothing after a 429; a longer ``Retry-After`` wins.
    :param timeout_seconds: the deadline for one complete response.
    :param max_attempts: how often a request is sent at most, including the first time.
    :param pacing: where the state of the rate limit is stored: ``"file"`` (shared by all processes of the user on this
        host), ``"memory"`` (this process only), or the URL of a Redis server (``redis://…``, ``rediss://…``,
        ``unix://…``; shared by all hosts that use it). The URL may contain a password, which is not part of any message
        or repr.
    :param verify: True verifies the server's certificate, False does not, a path is the CA bundle to verify it with.
    :param proxies: scheme to proxy URL, as in requests; the usual environment variables work too.
    :param realtime_requests_per_second: a separate rate limit for the realtime endpoint; None for the account's.
    :param user_agent: the User-Agent header; None for the versions of this package, Airflow and Python.
    :raises InvalidSettingsError: a ``ValueError`` that names the setting and its allowed values.
    """

    api_key: str = field(repr=False)
    base_url: str = limits.DEFAULT_BASE_URL
    requests_per_second: float = limits.REQUESTS_PER_SECOND
    cool_down_seconds: float = limits.COOL_DOWN_SECONDS
    timeout_seconds: float = 30.0
    max_attempts: int = 5
    pacing: str = field(default="file", repr=False)
    verify: bool | str = True
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    realtime_requests_per_second: float | None = None
    user_agent: str | None = None

    def __post_init__(self) -> None:
        _check_header("api_key", self.api_key, Hint.CHECK_API_KEY)
        object.__setattr__(self, "base_url", _normalized_base_url(self.base_url))
        rate = (MIN_REQUESTS_PER_SECOND, MAX_REQUESTS_PER_SECOND)
        _check_number("requests_per_second", self.requests_per_second, *rate)
        if self.realtime_requests_per_second is not None:
            _check_number("realtime_requests_per_second", self.realtime_requests_per_second, *rate)
        _check_number("cool_down_seconds", self.cool_down_seconds, 0, MAX_COOL_DOWN_SECONDS)
        _check_number("timeout_seconds", self.timeout_seconds, 0.001, 3600)
        _check_number("max_attempts", self.max_attempts, 1, 1000)
        if not isinstance(self.max_attempts, int):
            raise InvalidSettingsError("max_attempts must be a whole number, 1 or more")
        _check_pacing(self.pacing)
        _check_verify(self.verify)
        _check_proxies(self.proxies)
        if self.user_agent is not None:
            _check_header("user_agent", self.user_agent, spaces=True)

    @property
    def fingerprint(self) -> str:
        """An identifier of the account for file names and logs: 16 hexadecimal digits that do not reveal the key."""
        text = f"airflow-provider-trackingmore/slot-clock\0{self.base_url}\0{self.api_key}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def route(self) -> str:
        """An identifier of the account and of the way to it: 16 hexadecimal digits that do not reveal the key."""
        text = f"{self.fingerprint}\0{self.verify}\0{sorted(self.proxies.items())}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def is_vendor_host(self) -> bool:
        """Whether the base URL is TrackingMore's own, and not that of a gateway or the sandbox."""
        return _is_vendor_host(urlsplit(self.base_url).hostname or "")

    @property
    def host(self) -> str:
        """Host and port of the base URL, for messages."""
        return urlsplit(self.base_url).netloc


def _check_number(name: str, value: object, minimum: float, maximum: float) -> None:
    numeric = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not numeric or not minimum <= value <= maximum:  # type: ignore[operator]  # numeric says it is one
        raise InvalidSettingsError(
            f"{name} must be a number from {minimum:g} to {maximum:g}, not {format_value(value)}"
        )


def _check_header(name: str, value: object, hint: Hint | None = None, *, spaces: bool = False) -> None:
    """Validate the value of an HTTP header, which must not be part of the message."""
    if not isinstance(value, str) or not value:
        raise InvalidSettingsError(f"{name} is empty or not text", hint=hint)
    first = " " if spaces else "!"
    if value != value.strip() or not all(first <= character <= "~" for character in value):
        raise InvalidSettingsError(
            f"{name} contains white space or a character that is not printable ASCII (a stray line break?)", hint=hint
        )


def _normalized_base_url(value: object) -> str:
    example = f"use a URL such as {limits.DEFAULT_BASE_URL}"
    if not isinstance(value, str):
        raise InvalidSettingsError(f"base_url must be text: {example}")
    try:
        parts = urlsplit(value.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidSettingsError(f"base_url is not a URL: {example}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidSettingsError(f"base_url must begin with http:// or https:// and name a host: {example}")
    if "@" in parts.netloc:
        raise InvalidSettingsError(
            f"base_url must not contain a user or password; the key belongs in api_key: {example}"
        )
    if "?" in value or "#" in value:
        raise InvalidSettingsError(f"base_url must not contain a query or fragment: {example}")
    if not all("!" <= character <= "~" for character in value.strip()):
        raise InvalidSettingsError(
            f"base_url contains white space or a character that is not printable ASCII: {example}"
        )
    path = parts.path.rstrip("/")
    version = _VERSION.search(path)
    if version and version[1] != "2":
        raise InvalidSettingsError(
            f"base_url ends in {version[0]}, but this package supports version 2 only: {example}"
        )
    if _is_vendor_host(host) and path != "/v2":
        raise InvalidSettingsError(f"base_url must end in /v2, the version that this package supports: {example}")
    return urlunsplit((parts.scheme, parts.netloc.lower(), path, "", ""))


def _is_vendor_host(host: str) -> bool:
    return f".{host.rstrip('.')}".endswith(f".{_VENDOR}")


def _check_pacing(value: object) -> None:
    if value in PACING_CHOICES:
        return
    choices = "'file' (the default), 'memory' or the URL of a Redis server such as redis://redis.example:6379/0"
    scheme, separator, _ = str(value).partition("://")
    if not separator or scheme not in REDIS_SCHEMES:
        given = "this URL" if ":" in str(value) else format_value(value)  # a wrong URL may contain a password
        raise InvalidSettingsError(f"pacing must be {choices}, not {given}")
    try:
        parts = urlsplit(str(value))
        location = parts.path if scheme == "unix" else parts.hostname
        _ = parts.port
    except ValueError:
        location = None
    if not location:
        raise InvalidSettingsError(f"pacing does not name a Redis server: it must be {choices}")


def _check_verify(value: object) -> None:
    if isinstance(value, bool):
        return
    if not isinstance(value, str) or not os.path.exists(value):
        raise InvalidSettingsError(
            "verify must be true, false or the path of an existing CA bundle on this machine, not "
            f"{format_value(value)}"
        )


def _check_proxies(value: object) -> None:
    valid = isinstance(value, Mapping) and all(
        isinstance(text, str) and text for pair in value.items() for text in pair
    )
    if not valid:  # a proxy's URL may contain a password, so it is not part of the message
        raise InvalidSettingsError('proxies must map schemes to URLs, such as {"https": "http://proxy.example:3128"}')
