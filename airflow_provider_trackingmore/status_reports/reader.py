"""Read the status reports of all triggerers, in the API server."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.client.settings import PACING_CHOICES, ClientSettings
from airflow_provider_trackingmore.status_reports.report import (
    KEPT_SECONDS,
    NAME_PREFIX,
    StatusReport,
    StatusReportError,
)
from airflow_provider_trackingmore.status_reports.storage import RedisReports

log = logging.getLogger(__name__)

CONNECTION_SECONDS = 30.0
"""How long the settings of a connection are cached."""


class ReportReader:
    """Reads the reports of all triggerers. Use one per process of the API server; its methods block.

    :param clock: Unix seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._settings: dict[str, tuple[float, ClientSettings | None]] = {}
        self._redis: dict[str, RedisReports | None] = {}

    def read(self, conn_ids: Iterable[str] = ()) -> list[StatusReport]:
        """Read all reports of the last day: those in Variables, and those in the Redis servers of some connections.

        :param conn_ids: the connections whose Redis servers are read.
        :return: the reports, the newest first. A triggerer that was restarted may have left an older one.
        """
        texts = [*_variables(), *self._in_redis(conn_ids)]
        now = self._clock()
        reports = [report for report in map(_parse, texts) if report is not None and report.age(now) < KEPT_SECONDS]
        return sorted(reports, key=lambda report: -report.written_at)

    def settings(self, conn_id: str) -> ClientSettings | None:
        """Return the settings of a connection, at most :data:`CONNECTION_SECONDS` old.

        :param conn_id: the connection.
        :return: None if there is no such connection, or if it is invalid.
        """
        now = time.monotonic()
        known = self._settings.get(conn_id)
        if known is None or now - known[0] > CONNECTION_SECONDS:
            known = self._settings[conn_id] = now, _read_settings(conn_id)
        return known[1]

    def _in_redis(self, conn_ids: Iterable[str]) -> Iterator[str]:
        accounts: dict[tuple[str, str], None] = {}
        for conn_id in conn_ids:
            settings = self.settings(conn_id)
            if settings is not None and settings.pacing not in PACING_CHOICES:
                accounts[settings.pacing, settings.fingerprint] = None
        for url, account in accounts:
            if url not in self._redis:
                self._redis[url] = _open_redis(url)
            reports = self._redis[url]
            if reports is not None:
                yield from reports.read_all(account)


def _open_redis(url: str) -> RedisReports | None:
    """Open a Redis server; None if this process cannot use it."""
    try:
        return RedisReports(url)
    except InvalidSettingsError as error:
        log.warning("The page leaves out the accounts whose rate limit is kept in Redis: %s", error)
        return None


def _variables() -> list[str]:
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(Variable).where(Variable.key.startswith(f"{NAME_PREFIX}_", autoescape=True))
        texts = [variable.get_val() for variable in session.scalars(query)]  # type: ignore[no-untyped-call]
        session.expunge_all()
    return [text for text in texts if isinstance(text, str)]


def _read_settings(conn_id: str) -> ClientSettings | None:
    from airflow.models.connection import Connection

    from airflow_provider_trackingmore.hooks.connection import settings_from

    try:
        connection = Connection.get_connection_from_secrets(conn_id)
        return settings_from(connection, connection.extra_dejson)
    except Exception as error:  # there is no such connection, which Airflow reports in several ways; or it is invalid
        log.debug("Connection %s cannot be used: %s", conn_id, type(error).__name__)
        return None


def _parse(text: str) -> StatusReport | None:
    try:
        return StatusReport.from_text(text)
    except StatusReportError as error:
        log.debug("A status report is left out: %s", error)
        return None
