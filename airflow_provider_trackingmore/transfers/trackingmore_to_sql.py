"""Load trackings into a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_trackingmore.loading.load import utc_now
from airflow_provider_trackingmore.loading.schema import EVENTS, STATUS_CHANGES, TRACKINGS
from airflow_provider_trackingmore.operators.template_values import parse_bool, parse_text
from airflow_provider_trackingmore.transfers.base import LoadBaseOperator
from airflow_provider_trackingmore.transfers.sql.load import SqlDestination, load_into_database
from airflow_provider_trackingmore.transfers.sql.tables import ARGUMENTS, STATE

if TYPE_CHECKING:
    from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
    from airflow_provider_trackingmore.loading.load import LoadOptions
    from airflow_provider_trackingmore.transfers.result import LoadResult


class TrackingMoreToSqlOperator(LoadBaseOperator):
    """Load new and changed trackings, all their events and their changes of status into a database.

    Rows and cursor commit in one transaction: after a crash at any moment, the tables are as the previous load left
    them, and the next load continues from there. It reads with ``GET /trackings/get``, 2,000 shipments a call, and
    ``GET /trackings/{carrier_code}/{tracking_number}`` for shipments that may be missing. It writes to PostgreSQL,
    MySQL, MariaDB, SQLite and DuckDB.

    It returns counts, never rows: ``rows`` (table -> ``new``, ``changed``, ``unchanged``), ``window``, ``cursor``,
    ``loaded_at``, ``sequence``, ``open``, ``missing``, ``unconfirmed``, ``api_calls``, ``account``, ``stream`` and
    ``target`` (``conn_id``, ``database``, ``schema``, ``tables``). The asset events of ``outlets`` carry the same.

    :param sql_conn_id: the Airflow connection of the database.
    :param trackings_table: the table with one row per shipment.
    :param events_table: the table with one row per event.
    :param changes_table: the table with one row per observed change of status.
    :param state_table: the table of the cursor.
    :param schema: the schema of all tables and views; None for the connection's default.
    :param filters: the filters of ``list_trackings``, without ``update_time_min`` and ``update_time_max``.
    :param settle: how long a delivered or expired shipment must be unchanged before later loads omit it; a
        ``timedelta`` or seconds.
    :param max_open: how long after its registration a shipment may be read with the list; later it is read by number. A
        ``timedelta`` or seconds.
    :param full_refresh: whether to read everything again. Nothing is deleted.
    :param create_tables: whether to create missing tables, and to add columns of later versions.
    :param create_views: whether to create the views ``shipment_lane_transit``, ``carrier_scorecard``,
        ``stuck_shipments`` and, with ``promised_table``, ``on_time``.
    :param promised_table: your table of promised dates, with the columns ``order_id`` and ``promised_at``; a name, or
        schema and name with a dot between them.
    :param mark_missing: whether to set ``missing_since`` of shipments that are no longer registered.
    :param event_texts: ``"drop"`` leaves out the carriers' texts, which sometimes contain the receiver's name.
    :param include_personal_data: whether to load names, e-mail addresses and phone numbers.
    :param include_raw: whether to load the vendor's record as JSON. **It may contain personal data.**
    :param account: the value of the column ``account``; None for ``trackingmore_conn_id``.
    :param stream: the name of the state, so that loads with other filters have a cursor of their own; None for one that
        is derived from ``account`` and ``filters``.
    :param trackingmore_conn_id: the Airflow connection of TrackingMore.
    :raises InvalidArgumentError: before any call, naming the argument.
    :raises LoadDatabaseError: if the database refuses a statement or the connection fails. Nothing was committed.
    :raises LoadStateError: before any call, if the stored state cannot be used.
    :raises TrackingMoreError: if the account or the connection to TrackingMore fails. Nothing was committed.
    """

    template_fields: Sequence[str] = (
        "sql_conn_id",
        "trackings_table",
        "events_table",
        "changes_table",
        "state_table",
        "schema",
        "create_tables",
        "create_views",
        "promised_table",
        *LoadBaseOperator.template_fields,
    )

    def __init__(
        self,
        *,
        sql_conn_id: str,
        trackings_table: str = TRACKINGS.name,
        events_table: str = EVENTS.name,
        changes_table: str = STATUS_CHANGES.name,
        state_table: str = STATE.name,
        schema: str | None = None,
        create_tables: bool = True,
        create_views: bool = True,
        promised_table: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql_conn_id = sql_conn_id
        self.trackings_table = trackings_table
        self.events_table = events_table
        self.changes_table = changes_table
        self.state_table = state_table
        self.schema = schema
        self.create_tables = create_tables
        self.create_views = create_views
        self.promised_table = promised_table

    def _load(self, hook: TrackingMoreHook, options: LoadOptions, stream: str) -> LoadResult:
        destination = SqlDestination(
            BaseHook.get_connection(self.sql_conn_id),
            {table: parse_text(argument, getattr(self, argument)) or "" for table, argument in ARGUMENTS.items()},
            parse_text("schema", self.schema),
            parse_bool("create_tables", self.create_tables),
            parse_bool("create_views", self.create_views),
            parse_text("promised_table", self.promised_table),
        )
        return load_into_database(
            hook.shipment_source(), options, stream, destination, utc_now, self.log, self._progress()
        )
