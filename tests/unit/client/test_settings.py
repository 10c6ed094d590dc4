"""The settings of a client: their defaults, what is refused, and what identifies an account."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_trackingmore.api.errors import InvalidSettingsError, Retry, TrackingMoreError
from airflow_provider_trackingmore.client.settings import ClientSettings

KEY = "5ecret0f-7e57-4bad-cafe-0123456789ab"


def settings(**values: object) -> ClientSettings:
    return ClientSettings(**{"api_key": KEY, **values})  # type: ignore[arg-type]


def test_only_the_key_is_required_and_the_defaults_are_as_documented() -> None:
    made = settings()
    assert made.base_url == "https://api.trackingmore.com/v2"
    assert (made.requests_per_second, made.cool_down_seconds, made.timeout_seconds) == (1.0, 120.0, 30.0)
    assert (made.max_attempts, made.pacing, made.verify, made.proxies) == (5, "file", True, {})
    assert made.realtime_requests_per_second is None


def test_a_repr_contains_neither_the_key_nor_a_proxy_password() -> None:
    shown = repr(settings(proxies={"https": "http://user:pa55@proxy.example"}))
    assert KEY not in shown
    assert "pa55" not in shown


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("api_key", "", "empty or not text"),
        ("api_key", None, "empty or not text"),
        ("api_key", f"{KEY}\n", "stray line break"),
        ("api_key", f"{KEY}ü", "printable ASCII"),
        ("api_key", "two words", "white space"),
        ("base_url", "api.trackingmore.com/v2", "http:// or https://"),
        ("base_url", "ftp://api.trackingmore.com/v2", "http:// or https://"),
        ("base_url", "file:///etc/passwd", "http:// or https://"),
        ("base_url", "https://", "name a host"),
        ("base_url", "https:///v2", "name a host"),
        ("base_url", "https://user:pa55@api.trackingmore.com/v2", "user or password"),
        ("base_url", "https://api.trackingmore.com/v2?key=pa55", "query"),
        ("base_url", "https://api.trackingmore.com/v2#x", "fragment"),
        ("base_url", "https://api.tracking more.com/v2", "white space"),
        ("base_url", "https://api.trackingmore.com:port/v2", "not a URL"),
        ("base_url", "https://[::1/v2", "not a URL"),
        ("base_url", None, "must be text"),
        ("base_url", "https://api.trackingmore.com/v4", "ends in /v4, but this package supports version 2 only"),
        ("base_url", "https://api.trackingmore.com/v3/", "ends in /v3"),
        ("base_url", "https://api.trackingmore.com/V4", "ends in /V4"),
        ("base_url", "https://gateway.example/tracking/v4", "ends in /v4"),
        ("base_url", "http://127.0.0.1:8700/v22", "ends in /v22"),
        ("base_url", "https://gateway.example/v2.1", "ends in /v2.1"),
        ("base_url", "https://api.trackingmore.com", "must end in /v2"),
        ("base_url", "https://API.trackingmore.com:443/", "must end in /v2"),
        ("base_url", "https://api.trackingmore.com./", "must end in /v2"),
        ("base_url", "https://trackingmore.com/", "must end in /v2"),
        ("base_url", "http://www.trackingmore.com/api", "must end in /v2"),
        ("base_url", "https://api.trackingmore.com/v2/trackings", "must end in /v2"),
        ("base_url", "https://api.trackingmore.com/V2", "must end in /v2"),
        ("requests_per_second", 0, "from 0.001"),
        ("requests_per_second", -1, "from 0.001"),
        ("requests_per_second", float("nan"), "number"),
        ("requests_per_second", "1", "number"),
        ("requests_per_second", True, "number"),
        ("realtime_requests_per_second", 0, "from 0.001"),
        ("cool_down_seconds", -1, "from 0 to 3600"),
        ("cool_down_seconds", 1e9, "from 0 to 3600"),
        ("timeout_seconds", 0, "from 0.001"),
        ("timeout_seconds", float("inf"), "number"),
        ("max_attempts", 0, "from 1"),
        ("max_attempts", 2.5, "whole number"),
        ("pacing", "redis://user:pa55@/0", "does not name a Redis server"),
        ("pacing", "redis://user:pa55@host:port/0", "does not name a Redis server"),
        ("pacing", "unix://", "does not name a Redis server"),
        ("pacing", "redis:/user:pa55@host", "'memory' or the URL of a Redis server"),
        ("pacing", "http://user:pa55@host/0", "'memory' or the URL of a Redis server"),
        ("pacing", "disk", "'memory' or the URL of a Redis server"),
        ("verify", "/no/such/bundle.pem", "CA bundle"),
        ("verify", None, "CA bundle"),
        ("verify", "", "CA bundle"),
        ("proxies", "http://user:pa55@proxy.example", "map schemes to URLs"),
        ("proxies", {"https": None}, "map schemes to URLs"),
        ("user_agent", "two\r\nlines", "printable ASCII"),
    ],
)
def test_an_invalid_setting_is_named_with_a_hint(name: str, value: object, expected: str) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        settings(**{name: value})
    message = str(caught.value)
    assert name in message
    assert expected in message
    assert KEY not in message
    assert "pa55" not in message
    assert caught.value.retry is Retry.NEVER
    assert isinstance(caught.value, TrackingMoreError)
    assert isinstance(caught.value, ValueError)


def test_spellings_of_a_base_url_are_one_account() -> None:
    one = settings(base_url="https://API.trackingmore.com/v2/")
    other = settings(base_url=" https://api.trackingmore.com/v2 ")
    assert one.base_url == other.base_url == "https://api.trackingmore.com/v2"
    assert one.fingerprint == other.fingerprint


def test_the_fingerprint_identifies_an_account_and_hides_the_key() -> None:
    fingerprints = {
        settings().fingerprint,
        settings(api_key=KEY[::-1]).fingerprint,
        settings(base_url="http://127.0.0.1:8700/v2").fingerprint,
    }
    assert len(fingerprints) == 3
    assert all(len(fingerprint) == 16 and int(fingerprint, 16) >= 0 for fingerprint in fingerprints)


def test_an_existing_ca_bundle_is_accepted(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    assert settings(verify=str(bundle)).verify == str(bundle)


def test_the_host_includes_its_port() -> None:
    assert settings(base_url="http://127.0.0.1:8700/v2").host == "127.0.0.1:8700"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.trackingmore.com/v2", True),
        ("https://API.trackingmore.com.:443/v2", True),
        ("https://nottrackingmore.com/v2", False),
        ("https://trackingmore.com.example/v2", False),
        ("http://127.0.0.1:8700/v2", False),
    ],
)
def test_the_vendors_own_hosts_are_known(url: str, expected: bool) -> None:
    assert settings(base_url=url).is_vendor_host is expected


@pytest.mark.parametrize(
    "url", ["redis://user:pa55@redis.example:6379/0", "rediss://:pa55@[::1]", "unix:///run/redis.sock?password=pa55"]
)
def test_the_url_of_a_redis_server_is_accepted_and_its_password_is_not_shown(url: str) -> None:
    made = settings(pacing=url)
    assert made.pacing == url
    assert "pa55" not in repr(made)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.trackingmore.com/v2",
        "http://127.0.0.1:8700",
        "http://127.0.0.1:8700/v2",
        "https://gateway.example/v4/tracking",
        "https://gateway.example/v4/v2",
        "https://gateway.example/dev4",
        "https://nottrackingmore.com/tracking",
        "https://trackingmore.com.example/tracking",
    ],
)
def test_other_hosts_may_have_any_path_that_does_not_end_in_another_version(url: str) -> None:
    assert settings(base_url=url).base_url == url
