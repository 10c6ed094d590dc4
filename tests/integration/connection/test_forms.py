"""The connection form: the fields of Airflow 3.2 and later, the widgets of 2.11, and what both store."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.events.webhook_settings import WebhookSettings
from airflow_provider_trackingmore.get_provider_info import CLIENT_FIELDS, CONNECTION_TYPE
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

from .conftest import VERSION

FIELDS = CONNECTION_TYPE["conn-fields"]
BAD = {
    "requests_per_second": ["fast", "0", "10001", "nan"],
    "cool_down_seconds": ["-1", "3601"],
    "timeout_seconds": ["0", "an hour"],
    "max_attempts": ["0", "2.7", "1001"],
    "pacing": ["memry", "http://127.0.0.1:6379"],
    "realtime_requests_per_second": ["0", "inf"],
    "proxies": ["proxy.example", "[]", '{"https": 1}'],
    "webhook_secret": ["short", "a/secret/with/slashes"],
    "webhook_tolerance_seconds": ["0", "86401", "nan"],
    "webhook_hints_per_minute": ["0", "2.5", "many", "10001"],
}
DEFAULTS = {
    "requests_per_second": "1.0",
    "cool_down_seconds": "120.0",
    "timeout_seconds": "30.0",
    "max_attempts": "5",
    "pacing": "file",
    "verify": "true",
    "webhook_tolerance_seconds": "300.0",
    "webhook_hints_per_minute": "120",
}
GOOD = {
    "requests_per_second": "2.5",
    "cool_down_seconds": "0",
    "timeout_seconds": "30",
    "max_attempts": "7",
    "pacing": "memory",
    "realtime_requests_per_second": "3",
    "verify": "false",
    "proxies": '{"https": "http://proxy.example:3128"}',
    "webhook_secret": "a-secret-of-the-webhooks",
    "webhook_email": "shop@mail.example",
    "webhook_tolerance_seconds": "60",
    "webhook_hints_per_minute": "30",
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Read a connection with these extras by way of Airflow."""
    monkeypatch.setenv("TRACKINGMORE_PACING_DIR", str(tmp_path))

    def read(extra: dict[str, Any]) -> ClientSettings:
        stored = {"conn_type": "trackingmore", "password": "key", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_STORED", json.dumps(stored))
        with TrackingMoreHook("stored") as hook:
            return hook.get_conn().settings

    return read


def test_the_help_of_a_field_names_its_default() -> None:
    for name in ("requests_per_second", "cool_down_seconds", "timeout_seconds", "max_attempts", "pacing", "verify"):
        default = getattr(ClientSettings(api_key="key"), name)
        text = str(default).lower() if isinstance(default, (str, bool)) else f"{default:g}"
        assert re.search(rf"Empty( or|:) {text}\b", FIELDS[name]["description"]), name


def test_the_form_of_airflow_3_stores_no_defaults(read: Any) -> None:
    """It would store the default of a schema with every connection."""
    assert not [name for name, field in FIELDS.items() if "default" in field["schema"]]
    assert read(dict.fromkeys(FIELDS)) == ClientSettings(api_key="key")


@pytest.mark.parametrize("name", ["requests_per_second", "timeout_seconds", "max_attempts"])
def test_a_zero_in_the_form_of_airflow_3_is_an_error_and_not_the_smallest_value(read: Any, name: str) -> None:
    """The form would silently replace a value outside of the schema's bounds with the nearest bound."""
    assert not {"minimum", "maximum"} & set(FIELDS[name]["schema"])
    with pytest.raises(InvalidSettingsError, match=rf"connection 'stored': {name} must be a number from .* not 0"):
        read({name: 0})


HOOK_META = """
import json
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

(found,) = (meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == "trackingmore")
print("META " + json.dumps({"fields": found.extra_fields, "standard": found.standard_fields.model_dump()}))
"""


def form_of_airflow_3(environment: dict[str, str]) -> dict[str, Any]:
    """Return what the web server sends to the form for this connection type."""
    done = subprocess.run(
        [sys.executable, "-c", HOOK_META], env=environment, capture_output=True, text=True, timeout=120
    )
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("META ")) if done.stdout else ("",)
    assert line, done.stderr
    meta: dict[str, Any] = json.loads(line.removeprefix("META "))
    return meta


needs_form_of_airflow_3 = pytest.mark.skipif(
    VERSION < (3, 1), reason="Airflow 2 builds the form in Flask, and 3.0 labels no field without Flask-AppBuilder"
)


@needs_form_of_airflow_3
def test_the_web_server_of_airflow_3_labels_the_standard_fields(airflow_environment: dict[str, str]) -> None:
    standard = form_of_airflow_3(airflow_environment)["standard"]
    assert standard["password"]["title"] == "API key"
    assert standard["host"] == {
        "hidden": False,
        "title": "Base URL",
        "placeholder": "https://api.trackingmore.com/v2",
    }
    assert all(standard[name]["hidden"] for name in ("port", "login", "url_schema"))


@needs_form_of_airflow_3
def test_the_web_server_of_airflow_3_sends_every_field_to_the_form(airflow_environment: dict[str, str]) -> None:
    shown_fields = form_of_airflow_3(airflow_environment)["fields"]
    assert set(shown_fields) == set(FIELDS)
    for name, field in FIELDS.items():
        shown = shown_fields[name]
        assert shown["value"] is None
        assert shown["schema"]["title"] == field["label"]
        assert field["description"] in (shown["description"], shown["schema"].get("description"))
        for bound in ("minimum", "maximum", "enum"):
            assert shown["schema"].get(bound) == field["schema"].get(bound)


def old_form(given: dict[str, str] | None = None) -> Any:
    """Return the extras in the form of Airflow 2.11; None for one that has not been submitted."""
    wtforms = pytest.importorskip("wtforms", reason="only the forms of Airflow 2 need wtforms")
    from werkzeug.datastructures import MultiDict

    prefix = "extra__trackingmore__"
    members = {prefix + name: widget for name, widget in TrackingMoreHook.get_connection_form_widgets().items()}
    sent = None if given is None else MultiDict({prefix + name: value for name, value in given.items()})
    return type("Form", (wtforms.Form,), members)(sent)


def field_of(form: Any, name: str) -> Any:
    return form[f"extra__trackingmore__{name}"]


def test_the_old_form_has_every_field_with_its_help_and_its_default_as_placeholder() -> None:
    form = old_form()
    assert [field.name.rpartition("__")[2] for field in form] == list(FIELDS)
    placeholders = TrackingMoreHook.get_ui_field_behaviour()["placeholders"]
    for name, field in FIELDS.items():
        assert field_of(form, name).description == field["description"]
        assert placeholders.get(name) == DEFAULTS.get(name)
        assert 'value=""' in str(field_of(form, name)())


def test_the_old_form_uses_the_only_field_class_that_airflow_2_accepts() -> None:
    wtforms = pytest.importorskip("wtforms", reason="only the forms of Airflow 2 need wtforms")
    assert {widget.field_class for widget in TrackingMoreHook.get_connection_form_widgets().values()} == {
        wtforms.StringField
    }


def test_the_old_form_accepts_numbers_as_text_and_empty_fields(read: Any) -> None:
    assert old_form(dict.fromkeys(FIELDS, "")).validate()
    form = old_form(GOOD)
    assert form.validate(), form.errors
    settings = read({name: field_of(form, name).data for name in GOOD})
    assert {name: getattr(settings, name) for name in CLIENT_FIELDS} == {
        "requests_per_second": 2.5,
        "cool_down_seconds": 0,
        "timeout_seconds": 30,
        "max_attempts": 7,
        "pacing": "memory",
        "realtime_requests_per_second": 3,
        "verify": False,
        "proxies": {"https": "http://proxy.example:3128"},
    }
    assert WebhookSettings.from_extra({name: field_of(form, name).data for name in GOOD}) == WebhookSettings(
        GOOD["webhook_secret"], "shop@mail.example", 60, 30
    )


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_the_old_form_refuses_invalid_values_and_says_so_at_the_field(name: str, value: str) -> None:
    form = old_form(GOOD | {name: value})
    assert not form.validate()
    assert set(form.errors) == {f"extra__trackingmore__{name}"}
    shown = str(field_of(form, name)())
    assert f'<span class="text-danger">{name} must ' in shown
    assert not field_of(form, name).errors, "Airflow would write another text over it"


def test_the_old_form_does_not_check_the_path_of_a_ca_bundle() -> None:
    assert old_form(GOOD | {"verify": "/on/the/workers/only.pem"}).validate()


def test_the_old_form_shows_json_that_it_can_save_again() -> None:
    form = old_form()
    field = field_of(form, "proxies")
    field.data = {"https": "http://proxy.example:3128"}
    assert 'value="{&#34;https&#34;: &#34;http://proxy.example:3128&#34;}"' in str(field())
    assert old_form({"proxies": json.dumps(field.data)}).validate()


def test_the_old_form_escapes_its_values() -> None:
    form = old_form(GOOD | {"timeout_seconds": "<script>"})
    assert not form.validate()
    assert "<script>" not in str(field_of(form, "timeout_seconds")())
