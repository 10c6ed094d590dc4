"""How one TrackingMore account is reached, checked once. Knows every bound and its way out; opens no connection."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from airflow_provider_trackingmore.api import limits
from airflow_provider_trackingmore.api.errors import TrackingMoreError

PACING_CHOICES = ("file", "memory")
REDIS_SCHEMES = ("redis", "rediss", "unix")
MAX_COOL_DOWN_SECONDS = 3600.0
"""No silence is longer, whatever a server asks for or a damaged state says: after an hour it is worth one request."""
MIN_REQUESTS_PER_SECOND = 0.001
MAX_REQUESTS_PER_SECOND = 10_000.0

_VENDOR = "trackingmore.com"
_VERSION = re.compile(r"/v([0-9][0-9.]*)$", re.IGNORECASE)
"""Bodies of v3 and v4 look alike, but mean other things: they would be misread without a word."""


class InvalidSettingsError(TrackingMoreError, ValueError):
    """A setting of the connection cannot work; found before any call."""


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """How one account is reached.

    :param api_key: the account's key; appears in no message and no repr.
    :param base_url: address of the API up to and including the version, ``http`` or ``https``. At the vendor's hosts it
        ends in ``/v2``; at another host it may end in anything but another version.
    :param requests_per_second: calls that the account may make in a second.
    :param cool_down_seconds: silence of the whole account after a 429; a longer ``Retry-After`` wins.
    :param timeout_seconds: longest time for one complete answer.
    :param max_attempts: how often one call is tried, the first time included.
    :param pacing: where the account's slot clock lives: ``"file"`` (shared by all processes of the user on this host),
        ``"memory"`` (this process only), or the URL of a Redis server (``redis://…``, ``rediss://…``, ``unix://…``;
        shared by all hosts that use it). The URL may hold a password: it appears in no message and no repr.
    :param verify: True checks the server's certificate, False does not, a path names the CA bundle to check it with.
    :param proxies: scheme to proxy URL, as in requests; the usual environment variables work without it.
    :param realtime_requests_per_second: a pace of its own for the realtime endpoint; None shares the account's.
    :param user_agent: replaces the User-Agent header; None names this package, Airflow and Python.
    :raises InvalidSettingsError: a ``ValueError`` that names the setting and what it may be.
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
        _check_header("api_key", self.api_key, "put the account's API key into the password field of the connection")
        object.__setattr__(self, "base_url", _checked_base_url(self.base_url))
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
            _check_header("user_agent", self.user_agent, "give plain ASCII text", spaces=True)

    @property
    def fingerprint(self) -> str:
        """Which account this is, for file names and logs: 16 hexadecimal digits that do not give the key away."""
        text = f"airflow-provider-trackingmore/slot-clock\0{self.base_url}\0{self.api_key}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def host(self) -> str:
        """Host and port of the base URL, for messages."""
        return urlsplit(self.base_url).netloc


def _check_number(name: str, value: object, lowest: float, highest: float) -> None:
    numeric = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not numeric or not lowest <= value <= highest:  # type: ignore[operator]  # numeric says it is one
        raise InvalidSettingsError(f"{name} must be a number from {lowest:g} to {highest:g}, not {_shown(value)}")


def _check_header(name: str, value: object, way_out: str, *, spaces: bool = False) -> None:
    """Refuse what cannot stand in an HTTP header; the value itself stays out of the message."""
    if not isinstance(value, str) or not value:
        raise InvalidSettingsError(f"{name} is empty or no text: {way_out}")
    lowest = " " if spaces else "!"
    if value != value.strip() or not all(lowest <= character <= "~" for character in value):
        raise InvalidSettingsError(
            f"{name} holds white space or a character that is not printable ASCII (a stray line end?): {way_out}"
        )


def _checked_base_url(value: object) -> str:
    example = f"give an address such as {limits.DEFAULT_BASE_URL}"
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
        raise InvalidSettingsError(f"base_url must not hold a user or a password; the key goes into api_key: {example}")
    if "?" in value or "#" in value:
        raise InvalidSettingsError(f"base_url must not hold a query or a fragment: {example}")
    if not all("!" <= character <= "~" for character in value.strip()):
        raise InvalidSettingsError(f"base_url holds white space or a character that is not printable ASCII: {example}")
    path = parts.path.rstrip("/")
    version = _VERSION.search(path)
    if version and version[1] != "2":
        raise InvalidSettingsError(f"base_url ends in {version[0]}, but this package speaks version 2 only: {example}")
    at_the_vendor = host.rstrip(".") == _VENDOR or host.rstrip(".").endswith(f".{_VENDOR}")
    if at_the_vendor and path != "/v2":
        raise InvalidSettingsError(f"base_url must end in /v2, the version that this package speaks: {example}")
    return urlunsplit((parts.scheme, parts.netloc.lower(), path, "", ""))


def _check_pacing(value: object) -> None:
    if value in PACING_CHOICES:
        return
    choices = "'file' (the default), 'memory' or the URL of a Redis server such as redis://redis.example:6379/0"
    scheme, separator, _ = str(value).partition("://")
    if not separator or scheme not in REDIS_SCHEMES:
        shown = "what was given" if ":" in str(value) else _shown(value)  # a mistyped URL may hold a password too
        raise InvalidSettingsError(f"pacing must be {choices}, not {shown}")
    try:
        parts = urlsplit(str(value))
        there = parts.path if scheme == "unix" else parts.hostname
        _ = parts.port
    except ValueError:
        there = None
    if not there:
        raise InvalidSettingsError(f"pacing names no Redis server: it must be {choices}")


def _check_verify(value: object) -> None:
    if isinstance(value, bool):
        return
    if not isinstance(value, str) or not os.path.exists(value):
        raise InvalidSettingsError(
            f"verify must be true, false or the path of an existing CA bundle on this machine, not {_shown(value)}"
        )


def _check_proxies(value: object) -> None:
    valid = isinstance(value, Mapping) and all(
        isinstance(text, str) and text for pair in value.items() for text in pair
    )
    if not valid:  # a proxy's URL may hold a password: it stays out of the message
        raise InvalidSettingsError('proxies must map schemes to URLs, such as {"https": "http://proxy.example:3128"}')


def _shown(value: object) -> str:
    return repr(value)[:60]
