"""Read lanes, carriers and stuck shipments from the SQL views of a load, if a database is configured."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from airflow_provider_trackingmore.api.errors import InvalidArgumentError, TrackingMoreError
from airflow_provider_trackingmore.loading.views import LANE_TRANSIT, SCORECARD, STUCK
from airflow_provider_trackingmore.plugins.page.times import to_iso
from airflow_provider_trackingmore.transfers.sql.connections import is_missing_file, open_database
from airflow_provider_trackingmore.transfers.sql.database import Database

log = logging.getLogger(__name__)

KEPT_SECONDS = 60.0
PATIENCE_SECONDS = 15.0
"""The maximum time that a request waits for the database."""
MAX_ROWS = 100

VIEWS_HINT = "TrackingMoreToSqlOperator creates the views that are shown here, in the database of page_sql_conn_id."
LOG_HINT = "The log of the API server says why."

LANE_COLUMNS = "account, carrier_code, origin_country, destination_country, measured, p10_days, p50_days, p90_days"
CARRIER_COLUMNS = "account, carrier_code, shipments, exception_rate"
STUCK_COLUMNS = "account, carrier_code, tracking_number, order_id, status, last_event_at, days_without_event"


class LaneReader:
    """Reads the views for one process of the API server, in its own thread, at most once a minute.

    :param conn_id: the Airflow connection of the database; empty if none is configured.
    :param schema: the schema of the views; None for the connection's default.
    :param clock: Unix seconds.
    """

    def __init__(self, conn_id: str, schema: str | None, *, clock: Callable[[], float] = time.time) -> None:
        self._conn_id = conn_id
        self._schema = schema
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "trackingmore-page-sql")
        self._reading: asyncio.Future[dict[str, object]] | None = None
        self._began_at = 0.0

    async def read(self) -> dict[str, object]:
        """Return the content of the views, at most a minute old.

        :return: ``configured``; if it is true, also ``lanes``, ``carriers``, ``stuck``, ``read_at`` and ``error``.
        """
        if not self._conn_id:
            return {"configured": False}
        age = self._clock() - self._began_at
        if self._reading is None or (self._reading.done() and not 0 <= age < KEPT_SECONDS):
            self._began_at = self._clock()
            self._reading = asyncio.get_running_loop().run_in_executor(self._thread, self._read)
        done, _ = await asyncio.wait({self._reading}, timeout=PATIENCE_SECONDS)
        if not done:
            return _failed("The database is slow to respond.", "The page tries again.")
        return self._reading.result()

    def _read(self) -> dict[str, object]:
        try:
            database = self._open()
            try:
                found = _query(database)
            finally:
                database.close()
        except TrackingMoreError as error:
            log.warning("The page cannot read the views of connection %s: %s", self._conn_id, error)
            return _failed(error.message, error.hint_text or VIEWS_HINT)
        except Exception as error:
            log.exception("The page cannot read the views of connection %s", self._conn_id)
            return _failed(f"The database cannot be read ({type(error).__name__}).", LOG_HINT)
        return found | {"configured": True, "read_at": to_iso(self._clock()), "error": None}

    def _open(self) -> Database:
        from airflow.models.connection import Connection

        try:
            connection: Any = Connection.get_connection_from_secrets(self._conn_id)
        except Exception:  # Airflow reports it in several ways
            raise InvalidArgumentError(f"page_sql_conn_id: there is no connection {self._conn_id}") from None
        if connection.conn_type == "duckdb":
            raise InvalidArgumentError(
                "page_sql_conn_id: only one process at a time can open a DuckDB file, so the page would block the loads"
            )
        if is_missing_file(connection):
            raise InvalidArgumentError(f"page_sql_conn_id: the file of {self._conn_id} does not exist on this host")
        return open_database(connection, self._schema, log)


def _failed(message: str, hint: str) -> dict[str, object]:
    return {
        "configured": True,
        "lanes": [],
        "carriers": [],
        "stuck": [],
        "read_at": None,
        "error": {"message": message, "hint": hint},
    }


def _query(database: Database) -> dict[str, object]:
    def rows(columns: str, view: str, order: str, where: str = "") -> list[tuple[Any, ...]]:
        table = database.qualify(view)
        statement = f"SELECT {columns} FROM {table} {where} ORDER BY {order} LIMIT {MAX_ROWS}"  # noqa: S608  # constants
        return database.execute(f"reading the view {table}", statement)

    return {
        "lanes": [
            {
                "account": account,
                "carrier_code": carrier,
                "lane": f"{origin or '?'} → {destination or '?'}",
                "delivered": int(measured),
                "p10_days": _days(p10),
                "p50_days": _days(p50),
                "p90_days": _days(p90),
            }
            for account, carrier, origin, destination, measured, p10, p50, p90 in rows(
                LANE_COLUMNS, LANE_TRANSIT, "measured DESC, 1, 2, 3, 4", "WHERE clock = 'delivery'"
            )
        ],
        "carriers": [
            {
                "account": account,
                "carrier_code": carrier,
                "shipments": int(shipments),
                "exceptions": round(float(rate) * int(shipments)),
                "rate": float(rate),
            }
            for account, carrier, shipments, rate in rows(CARRIER_COLUMNS, SCORECARD, "shipments DESC, 1, 2")
        ],
        "stuck": [
            {
                "account": account,
                "carrier_code": carrier,
                "tracking_number": number,
                "order_id": order,
                "status": status,
                "last_update": _local(last_event),
                "days": _days(days),
            }
            for account, carrier, number, order, status, last_event, days in rows(
                STUCK_COLUMNS, STUCK, "days_without_event DESC, 1, 2, 3"
            )
        ],
    }


def _days(value: object) -> float | None:
    return None if value is None else round(float(str(value)), 2)


def _local(value: object) -> str | None:
    """Format a local time, which databases return as a ``datetime`` or as text."""
    if value is None:
        return None
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)[:19].replace(" ", "T")
