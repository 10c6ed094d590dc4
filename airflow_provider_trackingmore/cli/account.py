"""Where the account comes from: an Airflow connection, or the environment. Imports Airflow only for the former."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping

from airflow_provider_trackingmore.api.limits import DEFAULT_BASE_URL
from airflow_provider_trackingmore.cli.exits import CommandError, Exit
from airflow_provider_trackingmore.client.settings import ClientSettings, InvalidSettingsError
from airflow_provider_trackingmore.hooks.connection import settings_from

DEFAULT_CONNECTION = "trackingmore_default"
KEY_VARIABLE = "TRACKINGMORE_API_KEY"
URL_VARIABLE = "TRACKINGMORE_BASE_URL"


def key_place(conn_id: str | None, environment: Mapping[str, str]) -> str:
    """Name the place of the key for messages.

    :param conn_id: the connection that was asked for, if any.
    :param environment: the process's environment.
    :return: such as "connection 'trackingmore_default'".
    """
    if conn_id is None and environment.get(KEY_VARIABLE):
        return KEY_VARIABLE
    return f"connection {conn_id or DEFAULT_CONNECTION!r}"


def settings(conn_id: str | None, environment: Mapping[str, str]) -> ClientSettings:
    """Find the account: the connection asked for, else the environment's key, else the default connection.

    :param conn_id: the connection that was asked for, if any.
    :param environment: the process's environment.
    :return: how the account is reached.
    :raises InvalidSettingsError: if it cannot be reached like that.
    :raises CommandError: if there is no such connection.
    """
    if conn_id is None and (key := environment.get(KEY_VARIABLE)):
        try:
            return ClientSettings(api_key=key.strip(), base_url=environment.get(URL_VARIABLE) or DEFAULT_BASE_URL)
        except InvalidSettingsError as error:
            raise InvalidSettingsError(f"{KEY_VARIABLE}, {URL_VARIABLE}: {error.message}") from None
    return _from_airflow(conn_id or DEFAULT_CONNECTION)


def _from_airflow(conn_id: str) -> ClientSettings:
    way_out = f"make it with 'airflow connections add', or set {KEY_VARIABLE}"
    with _quiet():
        try:
            from airflow.models import Connection
        except Exception as error:
            # Its text may hold the password of Airflow's database.
            name = type(error).__name__
            message = f"Airflow, which has the connections, does not start ({name}): mend that, or set {KEY_VARIABLE}"
            raise CommandError(message, Exit.ACCOUNT) from error
        try:
            # airflow.sdk's finds what is in the database only within a task.
            connection = Connection.get_connection_from_secrets(conn_id)  # noqa: AIR311
        except Exception as error:
            raise CommandError(
                f"Airflow has no connection {conn_id!r} ({type(error).__name__}): {way_out}", Exit.ACCOUNT
            ) from error
        extra = connection.extra_dejson
    return settings_from(connection, extra)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Airflow 2.11 warns of itself when it is imported, and logs a traceback for each place without the connection."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
