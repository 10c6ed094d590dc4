"""A base URL is refused, or leads only to the HTTP server that it names: never to a file or another host."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import InvalidSettingsError, TrackingMoreError
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.client.transport import Transport
from tests.unit.hostile.arbitrary_input import TEXTS, assert_readable_message, hypothesis_settings

KEY = "5ecret0f-7e57-4bad-cafe-0123456789ab"
REQUEST: Request[object] = Request(method="GET", path="/carriers", parse=lambda data: data)

SCHEMES = st.sampled_from(["http", "https", "HTTPS", "file", "ftp", "gopher", "data", "javascript", "unix", ""])
HOSTS = st.sampled_from(
    [
        *("api.example", "API.example:8700", "[::1]", "[::1", "..", ".", "%2e", "a b", "a\\b", "ü.example", "\u2024"),
        *("x" * 300, "api.example:99999", "api.example:", "user:pa55@api.example", "@", "127.1", "0", "", "a\r\nb"),
    ]
)
PATHS = st.sampled_from(["", "/", "/v2", "/v2/", "//evil.example/v2", "/../v2", "/v2?a=b", "/v2#x", "/\x00", "/%0a"])
URLS = st.builds("{}{}{}{}".format, SCHEMES, st.sampled_from(["://", ":", ":/", ":///", "//"]), HOSTS, PATHS) | TEXTS


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The host names that are resolved; all of them fail."""
    names: list[Any] = []

    def unknown(host: Any, *_: object, **__: object) -> None:
        names.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return names


@hypothesis_settings(400)
@given(url=URLS)
def test_a_base_url_is_refused_or_leads_to_the_host_that_it_names(resolved: list[Any], url: str) -> None:
    resolved.clear()
    refusal = ""
    try:
        settings = ClientSettings(api_key=KEY, base_url=url)
    except InvalidSettingsError as error:
        refusal = error.message
    if refusal:
        assert_readable_message(refusal)
        assert "pa55" not in refusal
        return
    assert settings.base_url.startswith(("http://", "https://"))
    with Transport(settings) as transport, pytest.raises(TrackingMoreError) as caught:
        transport.exchange(REQUEST)
    assert_readable_message(caught.value.message)
    assert KEY not in caught.value.message
    assert all(_plain(name) in url.lower() for name in resolved)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "FILE://localhost/etc/passwd", "data:application/json,{}", "/etc"]
)
def test_a_base_url_that_points_to_a_file_is_refused(url: str) -> None:
    with pytest.raises(InvalidSettingsError, match="http:// or https://"):
        ClientSettings(api_key=KEY, base_url=url)


def _plain(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
