"""The account: an Airflow connection, or environment variables. Airflow is imported only for a connection."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.api.limits import DEFAULT_BASE_URL
from airflow_provider_trackingmore.cli.exit_codes import CommandError, ExitCode
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.hooks.connection import settings_from

if TYPE_CHECKING:
    from airflow.models import Connection

DEFAULT_CONNECTION = "trackingmore_default"
KEY_VARIABLE = "TRACKINGMORE_API_KEY"
URL_VARIABLE = "TRACKINGMORE_BASE_URL"


def key_source(conn_id: str | None, environment: Mapping[str, str]) -> str:
    """Name the source of the API key, for messages.

    :param conn_id: the connection that the user named, if any.
    :param environment: environment variables.
    :return: such as "connection 'trackingmore_default'".
    """
    if conn_id is None and environment.get(KEY_VARIABLE):
        return KEY_VARIABLE
    return f"connection {conn_id or DEFAULT_CONNECTION!r}"


def settings(conn_id: str | None, environment: Mapping[str, str]) -> ClientSettings:
    """Find the account: the connection that the user named, or the key in the environment, or the default connection.

    :param conn_id: the connection that the user named, if any.
    :param environment: environment variables.
    :return: the settings of the client.
    :raises InvalidSettingsError: if a setting is not valid.
    :raises CommandError: if the connection does not exist.
    """
    if conn_id is None and (key := environment.get(KEY_VARIABLE)):
        try:
            return ClientSettings(api_key=key.strip(), base_url=environment.get(URL_VARIABLE) or DEFAULT_BASE_URL)
        except InvalidSettingsError as error:
            raise InvalidSettingsError(f"{KEY_VARIABLE}, {URL_VARIABLE}: {error.message}") from None
    connection = find_connection(
        conn_id or DEFAULT_CONNECTION, f"create it with 'airflow connections add', or set {KEY_VARIABLE}"
    )
    return settings_from(connection, connection.extra_dejson)


def find_connection(conn_id: str, hint: str) -> Connection:  # noqa: AIR311
    """Find an Airflow connection, wherever Airflow keeps it.

    :param conn_id: the ID of the Airflow connection.
    :param hint: what to do if there is none.
    :return: the connection.
    :raises CommandError: if it does not exist.
    """
    with quiet():
        try:
            from airflow.models import Connection
        except Exception as error:
            # The error's text may hold the password of Airflow's database.
            name = type(error).__name__
            message = f"Airflow cannot be loaded to read its connections ({name}): fix that, or set {KEY_VARIABLE}"
            raise CommandError(message, ExitCode.ACCOUNT) from error
        try:
            # The one of airflow.sdk reads the database only within a task.
            connection = Connection.get_connection_from_secrets(conn_id)  # noqa: AIR311
        except Exception as error:
            raise CommandError(
                f"Airflow has no connection {conn_id!r} ({type(error).__name__}): {hint}", ExitCode.ACCOUNT
            ) from error
        return connection


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Airflow: it warns when it is imported, and logs a traceback for each place without the connection."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
