"""Read from Airflow connections whether they accept webhooks: the secret in the URL, and the key of the signature."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from airflow_provider_trackingmore.api.errors import InvalidSettingsError, TrackingMoreError
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.events.webhook_settings import WebhookSettings
from airflow_provider_trackingmore.get_provider_info import CONNECTION_TYPE
from airflow_provider_trackingmore.hooks.connection import settings_from
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

if TYPE_CHECKING:
    from airflow.models.connection import Connection

log = logging.getLogger(__name__)

KEPT_SECONDS = 30.0
"""How long a connection is cached, so that a flood of requests causes few queries."""
KEPT_CONNECTIONS = 1_000
EMAIL_RETRY_SECONDS = 60.0
"""How long to wait before the next request for an e-mail address that could not be read."""
EMAIL_WAIT_SECONDS = 10.0
"""How long that request may wait for the account's rate limit."""


class WebhookConnections:
    """Reads connections, at most once in :data:`KEPT_SECONDS` each."""

    def __init__(self) -> None:
        self._read: OrderedDict[str, tuple[float, WebhookSettings | None, ClientSettings | None]] = OrderedDict()
        self._emails: dict[str, tuple[float, str | None]] = {}
        self._reading = asyncio.Lock()
        self._asking = asyncio.Lock()

    async def get(self, conn_id: str) -> WebhookSettings | None:
        """Return the settings of a connection.

        :param conn_id: the connection, which may not exist.
        :return: the settings; None if it accepts no webhooks, or if it is invalid.
        """
        known = self._find(conn_id)
        if known is None:
            async with self._reading:
                known = self._find(conn_id)
                if known is None:
                    known = (time.monotonic(), *(await asyncio.to_thread(_read_settings, conn_id)))
                    self._read[conn_id] = known
                    self._read.move_to_end(conn_id)
                    while len(self._read) > KEPT_CONNECTIONS:
                        self._read.popitem(last=False)
        return known[1]

    def client_settings(self, conn_id: str) -> ClientSettings | None:
        """Return how to reach the account of a connection that :meth:`get` has read; None if that is invalid.

        :param conn_id: the connection.
        """
        known = self._read.get(conn_id)
        return None if known is None else known[2]

    async def email(self, conn_id: str, settings: WebhookSettings) -> str | None:
        """Return the key of the signature. If the connection does not have it, ``GET /trackings/getuserinfo`` is sent.

        :param conn_id: the connection.
        :param settings: its settings.
        :return: the account's e-mail address; None if it is unknown at present.
        """
        if settings.email is not None:
            return settings.email
        if not self._has_asked(conn_id):
            async with self._asking:
                if not self._has_asked(conn_id):
                    self._emails[conn_id] = time.monotonic(), await asyncio.to_thread(_ask_email, conn_id)
        return self._emails[conn_id][1]

    def _has_asked(self, conn_id: str) -> bool:
        """Tell whether the e-mail address is known, or could not be read less than a minute ago."""
        asked_at, email = self._emails.get(conn_id, (-math.inf, None))
        return email is not None or time.monotonic() - asked_at <= EMAIL_RETRY_SECONDS

    def _find(self, conn_id: str) -> tuple[float, WebhookSettings | None, ClientSettings | None] | None:
        known = self._read.get(conn_id)
        return known if known is not None and time.monotonic() - known[0] < KEPT_SECONDS else None


def _read_settings(conn_id: str) -> tuple[WebhookSettings | None, ClientSettings | None]:
    from airflow.models.connection import Connection

    try:
        connection = Connection.get_connection_from_secrets(conn_id)
        if connection.conn_type != CONNECTION_TYPE["connection-type"]:
            return None, None
        return WebhookSettings.from_extra(connection.extra_dejson), _client_settings(connection)
    except InvalidSettingsError as error:
        log.error("Connection %s accepts no webhooks: %s", conn_id, error)
    except Exception as error:  # there is no such connection, which Airflow reports in several ways
        log.debug("Connection %s cannot be read: %s", conn_id, type(error).__name__)
    return None, None


def _client_settings(connection: Connection) -> ClientSettings | None:
    """Return how to reach the account; None if that is invalid here, such as a CA bundle that only workers have."""
    try:
        return settings_from(connection, connection.extra_dejson)
    except InvalidSettingsError as error:
        log.warning("Webhooks of connection %s wake tasks only, no triggerer: %s", connection.conn_id, error)
        return None


def _ask_email(conn_id: str) -> str | None:
    try:
        with TrackingMoreHook(conn_id, max_wait_seconds=EMAIL_WAIT_SECONDS) as hook:
            hook.component = "API server"
            email = hook.get_account().email
    except TrackingMoreError as error:
        log.warning(
            "Webhooks of connection %s cannot be verified: the account's e-mail address is unknown (%s). Set "
            "webhook_email in the extra of the connection, or wait",
            conn_id,
            error,
        )
        return None
    return email
