"""Convert an Airflow connection, with its extras, to ``ClientSettings``; the connection form of older Airflows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.api.formatting import format_value
from airflow_provider_trackingmore.api.limits import DEFAULT_BASE_URL
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.events.webhook_settings import HINTS_PER_MINUTE, MIN_SECRET_LENGTH, WebhookSettings
from airflow_provider_trackingmore.events.webhooks import TOLERANCE_SECONDS
from airflow_provider_trackingmore.get_provider_info import CLIENT_FIELDS, CONNECTION_TYPE
from airflow_provider_trackingmore.hooks.hints import AIRFLOW_HINTS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

FIELDS: dict[str, dict[str, Any]] = CONNECTION_TYPE["conn-fields"]


def settings_from(connection: Connection, extra: Mapping[str, Any]) -> ClientSettings:
    """Read a connection. Unknown extras are ignored.

    :param connection: ``password`` is the API key, ``host`` the base URL (may be empty).
    :param extra: the connection's extra as a mapping; every value may also be text, as older forms store it.
    :return: the settings.
    :raises InvalidSettingsError: naming the connection, the field and its allowed values.
    """
    try:
        if not connection.password:
            raise InvalidSettingsError("it has no API key: put the key into its password field")
        known = {name: _read(name, extra[name]) for name in CLIENT_FIELDS if _given(extra, name)}
        return ClientSettings(api_key=connection.password, base_url=_base_url(connection), **known)
    except InvalidSettingsError as error:
        hint_text = AIRFLOW_HINTS.get(error.hint) if error.hint is not None else None
        message = f"connection {connection.conn_id!r}: {error.message}"
        raise InvalidSettingsError(message, hint=error.hint, hint_text=hint_text) from None


def _base_url(connection: Connection) -> str:
    host = (connection.host or "").strip()
    if not host:
        return DEFAULT_BASE_URL
    if "://" in host:
        return host
    # Airflow has split a connection URI into its parts, which do not name a scheme.
    name, _, path = host.partition("/")
    port = f":{connection.port}" if connection.port else ""
    return f"https://{name}{port}/{path or connection.schema or 'v2'}"


def _given(extra: Mapping[str, Any], name: str) -> bool:
    return extra.get(name) not in (None, "")


def _read(name: str, value: object) -> Any:
    if name == "verify":
        return _verify(value)
    if name == "proxies":
        return _proxies(value)
    if name == "pacing":
        return value
    number = _number(name, value)
    return int(number) if name == "max_attempts" and float(number).is_integer() else number


def _number(name: str, value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    try:
        return float(str(value))
    except ValueError:
        raise InvalidSettingsError(f"{name} must be a number, not {format_value(value)}") from None


def _verify(value: object) -> bool | str:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).strip().lower(), str(value))


def _proxies(value: object) -> Mapping[str, str]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, Mapping):
        raise InvalidSettingsError('proxies must be JSON such as {"https": "http://proxy.example:3128"}')
    return value


# The connection form of Airflow 2.11 to 3.1, built from the metadata that later versions read directly.


def form_behaviour() -> dict[str, Any]:
    """Describe the standard fields of the form, with the defaults of the other fields as placeholders.

    :return: ``hidden_fields``, ``relabeling`` and ``placeholders``, as Airflow expects them of a hook.
    """
    behaviour = {name.replace("-", "_"): value for name, value in CONNECTION_TYPE["ui-field-behaviour"].items()}
    defaults = {field.name: field.default for field in fields(ClientSettings) if field.name in CLIENT_FIELDS}
    defaults |= {"webhook_tolerance_seconds": TOLERANCE_SECONDS, "webhook_hints_per_minute": HINTS_PER_MINUTE}
    placeholders = {
        name: str(value).lower() for name, value in defaults.items() if isinstance(value, (str, float, int))
    }
    return {**behaviour, "placeholders": {**behaviour["placeholders"], **placeholders}}


def form_widgets() -> dict[str, Any]:
    """Build the fields for the extras. For an invalid value the form shows the reason at its field.

    :return: name of the extra -> its field.
    """
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from flask_babel import lazy_gettext
    from markupsafe import Markup
    from wtforms import StringField
    from wtforms.validators import Optional, ValidationError

    class ExtraWidget(BS3TextFieldWidget):  # type: ignore[misc]  # Airflow 3 comes without it
        def __call__(self, field: Any, **attributes: Any) -> Any:
            # The command line and URIs may have stored JSON here; shown as a Python repr, it could not be saved again.
            shown = field.data if isinstance(field.data, str) else json.dumps(field.data)
            box = super().__call__(field, **{"value": "" if field.data is None else shown, **attributes})
            # Airflow 2.11 would replace the errors of a field with a text of its own, so they are shown here.
            errors, field.errors = field.errors, ()
            return box + Markup("").join(
                Markup('<span class="text-danger">{}</span>').format(error) for error in errors
            )

    def refuse_invalid(form: object, field: Any) -> None:
        name = field.name.rpartition("__")[2]
        if name == "verify":
            return  # the CA bundle is on the workers, perhaps not here
        try:
            if name in CLIENT_FIELDS:
                ClientSettings(api_key="not-used", **{name: _read(name, field.data)})
            else:
                WebhookSettings.from_extra({"webhook_secret": "x" * MIN_SECRET_LENGTH, name: field.data})
        except InvalidSettingsError as error:
            raise ValidationError(error.message) from None

    return {
        name: StringField(
            lazy_gettext(field["label"]),
            description=field["description"],
            validators=[Optional(), refuse_invalid],
            widget=ExtraWidget(),
        )
        for name, field in FIELDS.items()
    }
