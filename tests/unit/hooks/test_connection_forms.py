"""Every form of an Airflow connection is read into the client's settings, without a call."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.get_provider_info import CLIENT_FIELDS, CONNECTION_TYPE
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

KEY = "5ecret0f-7e57-4bad-cafe-0123456789ab"
EXTRAS = {
    "requests_per_second": 2.5,
    "cool_down_seconds": 60,
    "timeout_seconds": 12.5,
    "max_attempts": 7,
    "pacing": "memory",
    "realtime_requests_per_second": 3,
    "verify": False,
    "proxies": {"https": "http://proxy.example:3128"},
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., ClientSettings]:
    """Read a connection through Airflow, given as a URI or as the content of its JSON."""
    monkeypatch.setenv("TRACKINGMORE_PACING_DIR", str(tmp_path))

    def read(connection: str | dict[str, Any], conn_id: str = "trackingmore_default") -> ClientSettings:
        text = connection if isinstance(connection, str) else json.dumps(connection)
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text)
        with TrackingMoreHook(conn_id) as hook:
            return hook.get_conn().settings

    return read


def with_extra(**extra: Any) -> dict[str, Any]:
    return {"conn_type": "trackingmore", "password": KEY, "extra": extra}


def test_a_key_is_enough(read: Callable[..., ClientSettings]) -> None:
    for connection in ({"conn_type": "trackingmore", "password": KEY}, f"trackingmore://:{KEY}@"):
        settings = read(connection)
        assert settings == ClientSettings(api_key=KEY)
        assert settings.base_url == "https://api.trackingmore.com/v2"
        assert (settings.requests_per_second, settings.cool_down_seconds, settings.pacing) == (1.0, 120.0, "file")


def test_every_extra_reaches_its_setting(read: Callable[..., ClientSettings]) -> None:
    settings = read(with_extra(**EXTRAS))
    assert {name: getattr(settings, name) for name in EXTRAS} == EXTRAS
    assert set(EXTRAS) == set(CLIENT_FIELDS), "this test has every setting of the client"


def test_extras_may_be_text_as_in_forms_and_uris(read: Callable[..., ClientSettings]) -> None:
    as_text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in EXTRAS.items()}
    settings = read(with_extra(**as_text))
    assert {name: getattr(settings, name) for name in EXTRAS} == EXTRAS
    uri = f"trackingmore://:{KEY}@/?requests_per_second=2.5&max_attempts=7&verify=false&pacing=memory"
    settings = read(uri)
    assert (settings.requests_per_second, settings.max_attempts, settings.verify) == (2.5, 7, False)


def test_empty_fields_of_a_form_are_ignored(read: Callable[..., ClientSettings]) -> None:
    assert read(with_extra(**dict.fromkeys(EXTRAS, ""))) == ClientSettings(api_key=KEY)
    assert read(with_extra(**dict.fromkeys(EXTRAS))) == ClientSettings(api_key=KEY)


def test_unknown_extras_are_ignored(read: Callable[..., ClientSettings]) -> None:
    settings = read(with_extra(headers={"X-Other": "1"}, api_key="another", base_url="http://other.example"))
    assert settings == ClientSettings(api_key=KEY)


@pytest.mark.parametrize(
    ("written", "base_url"),
    [
        ("", "https://api.trackingmore.com/v2"),
        ("  ", "https://api.trackingmore.com/v2"),
        ("https://api.trackingmore.com/v2/", "https://api.trackingmore.com/v2"),
        ("http://127.0.0.1:8700/v2", "http://127.0.0.1:8700/v2"),
        ("api.trackingmore.com", "https://api.trackingmore.com/v2"),
        ("api.trackingmore.com/v2", "https://api.trackingmore.com/v2"),
        ("gateway.example/tracking/v2", "https://gateway.example/tracking/v2"),
    ],
)
def test_the_host_is_the_base_url(read: Callable[..., ClientSettings], written: str, base_url: str) -> None:
    assert read(with_extra() | {"host": written}).base_url == base_url


@pytest.mark.parametrize(
    ("uri", "base_url"),
    [
        ("trackingmore://:{key}@api.trackingmore.com/v2", "https://api.trackingmore.com/v2"),
        ("trackingmore://:{key}@api.trackingmore.com", "https://api.trackingmore.com/v2"),
        ("trackingmore://:{key}@gateway.example:8443/v2", "https://gateway.example:8443/v2"),
        ("trackingmore://:{key}@http%3A%2F%2F127.0.0.1%3A8700%2Fv2/", "http://127.0.0.1:8700/v2"),
    ],
)
def test_a_uri_contains_the_base_url_in_its_parts(read: Callable[..., ClientSettings], uri: str, base_url: str) -> None:
    settings = read(uri.format(key=KEY))
    assert settings.base_url == base_url
    assert settings.api_key == KEY


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"password": None}, "password field", "put the key into"),
    ({"password": "two words"}, "api_key", "password field of the Airflow connection"),
    ({"password": KEY + "\n"}, "api_key", "stray line break"),
    ({"host": "ftp://api.example/v2"}, "base_url", "http:// or https://"),
    ({"host": "https://api.trackingmore.com/v4"}, "base_url", "ends in /v4, but this package supports version 2 only"),
    ({"host": "api.trackingmore.com/v3"}, "base_url", "ends in /v3"),
    ({"host": "api.trackingmore.com", "schema": "v4"}, "base_url", "ends in /v4"),
    ({"host": "https://api.trackingmore.com"}, "base_url", "must end in /v2"),
    ({"host": "https://user:pass@api.example/v2"}, "base_url", "must not contain a user or password"),
    ({"extra": {"requests_per_second": "fast"}}, "requests_per_second", "must be a number, not 'fast'"),
    ({"extra": {"requests_per_second": 0}}, "requests_per_second", "from 0.001 to 10000"),
    ({"extra": {"requests_per_second": True}}, "requests_per_second", "must be a number"),
    ({"extra": {"cool_down_seconds": -1}}, "cool_down_seconds", "from 0 to 3600"),
    ({"extra": {"timeout_seconds": "nan"}}, "timeout_seconds", "from 0.001 to 3600"),
    ({"extra": {"max_attempts": 2.5}}, "max_attempts", "whole number"),
    ({"extra": {"max_attempts": "inf"}}, "max_attempts", "from 1 to 1000"),
    ({"extra": {"max_attempts": "nan"}}, "max_attempts", "from 1 to 1000"),
    ({"extra": {"pacing": "fast"}}, "pacing", "'memory' or the URL of a Redis server"),
    ({"extra": {"pacing": "redis://:secret@"}}, "pacing", "does not name a Redis server"),
    ({"extra": {"verify": "/no/such/bundle.pem"}}, "verify", "existing CA bundle"),
    ({"extra": {"proxies": "proxy.example"}}, "proxies", '{"https": "http://proxy.example:3128"}'),
    ({"extra": {"proxies": {"https": 1}}}, "proxies", "must map schemes to URLs"),
]


@pytest.mark.parametrize(
    ("change", "field", "message_part"), BAD, ids=[f"{field}: {message}" for _, field, message in BAD]
)
def test_a_bad_connection_is_named_with_its_field_and_a_hint(
    read: Callable[..., ClientSettings], change: dict[str, Any], field: str, message_part: str
) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        read(with_extra() | change, "the_other_account")
    assert "connection 'the_other_account'" in caught.value.message
    assert field in caught.value.message
    assert message_part in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("change", "field", "message_part"), BAD, ids=[f"{field}: {message}" for _, field, message in BAD]
)
def test_a_bad_connection_fails_its_test_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], field: str, message_part: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(with_extra() | change))
    works, message = TrackingMoreHook().test_connection()
    assert not works
    assert field in message
    assert message_part in message


def test_a_connection_that_does_not_exist_is_named() -> None:
    works, message = TrackingMoreHook("no_such_connection").test_connection()
    assert not works
    assert "no_such_connection" in message


def test_no_text_contains_the_key_or_a_proxy_password(
    read: Callable[..., ClientSettings], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    proxies = {"https": "http://user:proxy-password@proxy.example:3128"}
    settings = read(with_extra(proxies=proxies, pacing="memory"))
    hook = TrackingMoreHook()
    shown = [repr(settings), str(settings), repr(hook), repr(hook.get_conn()), caplog.text, settings.fingerprint]
    with pytest.raises(InvalidSettingsError) as caught:
        read(with_extra(pacing="memory", proxies=proxies | {"http": ""}))
    shown += [str(caught.value), repr(caught.value)]
    for text in shown:
        assert KEY not in text
        assert "proxy-password" not in text


def test_the_form_of_older_airflows_agrees_with_the_metadata() -> None:
    behaviour = TrackingMoreHook.get_ui_field_behaviour()
    defaults = {"requests_per_second": "1.0", "cool_down_seconds": "120.0", "timeout_seconds": "30.0"}
    assert behaviour == {
        "hidden_fields": CONNECTION_TYPE["ui-field-behaviour"]["hidden-fields"],
        "relabeling": {"host": "Base URL", "password": "API key"},
        "placeholders": {
            **CONNECTION_TYPE["ui-field-behaviour"]["placeholders"],
            **defaults,
            "max_attempts": "5",
            "pacing": "file",
            "verify": "true",
            "webhook_tolerance_seconds": "300.0",
            "webhook_hints_per_minute": "120",
        },
    }
    # Airflow 2.11 does not search the base classes of a hook.
    assert {"get_connection_form_widgets", "get_ui_field_behaviour"} <= set(vars(TrackingMoreHook))


BOUNDS = {
    name: (float(found[1]), float(found[2]))
    for name, field in CLIENT_FIELDS.items()
    if (found := re.search(r"From (\S+) to (\d+)", field["description"]))
}


@pytest.mark.parametrize("name", BOUNDS)
def test_the_bounds_in_the_help_are_those_of_the_client(read: Callable[..., ClientSettings], name: str) -> None:
    lowest, highest = BOUNDS[name]
    assert getattr(read(with_extra(**{name: lowest})), name) == lowest
    assert getattr(read(with_extra(**{name: highest})), name) == highest
    for beyond in (lowest - 0.01, highest + 1):
        with pytest.raises(InvalidSettingsError):
            read(with_extra(**{name: beyond}))


def test_the_help_of_every_number_names_its_bounds() -> None:
    fields = CLIENT_FIELDS.items()
    assert set(BOUNDS) == {name for name, field in fields if {"number", "integer"} & set(field["schema"]["type"])}
