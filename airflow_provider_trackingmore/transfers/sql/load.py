"""Load into a database, or find out what a load would do there: for the operator and the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.loading.load import Load, LoadOptions, LoadSummary, run_load
from airflow_provider_trackingmore.loading.source import ShipmentSource
from airflow_provider_trackingmore.loading.state import LoadState
from airflow_provider_trackingmore.transfers.progress import Log
from airflow_provider_trackingmore.transfers.result import LineageDataset, LoadResult
from airflow_provider_trackingmore.transfers.sql.connections import find_kind, is_missing_file, open_database
from airflow_provider_trackingmore.transfers.sql.database import Database
from airflow_provider_trackingmore.transfers.sql.load_tables import LoadTables
from airflow_provider_trackingmore.transfers.sql.tables import ARGUMENTS, DATA_TABLES, check_table_name
from airflow_provider_trackingmore.transfers.sql.target import SqlTarget

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

DEFAULT_NAMES = {name: name for name in ARGUMENTS}
"""The name of each table in this package -> its default name in the database, which is the same."""


@dataclass(frozen=True, slots=True)
class SqlDestination:
    """Where a load writes.

    :param connection: the Airflow connection of the database.
    :param names: the name of each table in this package -> its name in the database.
    :param schema: the schema of all tables and views; None for the connection's default.
    :param create_tables: whether to create missing tables and columns.
    :param create_views: whether to create the views.
    :param promised_table: the user's table of promised dates; None for none.
    """

    connection: Connection
    names: Mapping[str, str] = field(default_factory=lambda: DEFAULT_NAMES)
    schema: str | None = None
    create_tables: bool = True
    create_views: bool = True
    promised_table: str | None = None

    def check(self) -> None:
        """Check the names.

        :raises InvalidArgumentError: naming the argument.
        """
        if self.schema is not None:
            check_table_name("schema", self.schema)
        used: set[str] = set()
        for table, argument in ARGUMENTS.items():
            name = check_table_name(argument, self.names[table])
            if name in used:
                raise InvalidArgumentError(f"{argument}: the name {name} is used twice; each table needs its own")
            used.add(name)


def load_into_database(
    source: ShipmentSource,
    options: LoadOptions,
    stream: str,
    destination: SqlDestination,
    clock: Callable[[], datetime],
    log: Log,
    progress: Callable[[LoadSummary], None],
) -> LoadResult:
    """Load into a database, in one transaction.

    :param source: reads the account.
    :param options: what to load.
    :param stream: the name of the state.
    :param destination: the database.
    :param clock: returns the time in UTC.
    :param log: receives messages about the database.
    :param progress: is called after each batch.
    :return: counts and targets.
    :raises InvalidArgumentError: before any call, naming the argument.
    :raises LoadStateError: before any call, if the stored state cannot be used.
    :raises LoadDatabaseError: if the database refuses. Nothing was committed.
    :raises TrackingMoreError: if the account or the connection fails. Nothing was committed.
    """
    destination.check()
    connection, schema, names = destination.connection, destination.schema, destination.names
    database = open_database(connection, schema, log)
    try:
        tables = LoadTables(database, names, options.rows.account, stream)
        promised = destination.promised_table
        promised_name = _find_promised_table(database, promised) if promised is not None else None
        tables.prepare_tables(create=destination.create_tables)
        tables.prepare_state()
        if destination.create_views:
            tables.prepare_views(promised_name)
        state = tables.begin()
        now = clock()
        target = SqlTarget(database, names, options.rows.account, now)
        load = Load(source, target.known, state, options, now)
        after = run_load(load, target, progress)
        tables.commit(after, now)
    except BaseException:
        database.rollback()
        raise
    finally:
        database.close()
    info = {"conn_id": connection.conn_id, "database": database.name, "schema": schema, "tables": dict(names)}
    targets = [_lineage(connection, schema, names[table.name]) for table in DATA_TABLES]
    return LoadResult({**load.summary.as_dict(after), "target": info}, targets)


def read_database_state(
    account: str, stream: str, destination: SqlDestination, log: Log
) -> tuple[LoadState, list[str]]:
    """Read the state of a stream, and check existing tables. Nothing is written or locked.

    :param account: the value of the column ``account``.
    :param stream: the name of the state.
    :param destination: the database.
    :param log: receives messages about the database.
    :return: the state, and the tables that a load would create.
    :raises InvalidArgumentError: if a table has another shape, or the stream belongs to another account.
    :raises LoadStateError: if the stored state cannot be used.
    :raises LoadDatabaseError: if the database refuses.
    """
    destination.check()
    if is_missing_file(destination.connection):
        return LoadState(), [destination.names[table] for table in ARGUMENTS]
    database = open_database(destination.connection, destination.schema, log)
    try:
        return LoadTables(database, destination.names, account, stream).inspect()
    finally:
        database.close()


def _find_promised_table(database: Database, promised: str) -> str:
    schema, _, name = promised.rpartition(".")
    check_table_name("promised_table", name)
    if schema:
        check_table_name("promised_table", schema)
    own_schema, database.schema = database.schema, schema or database.schema
    try:
        qualified, shape = database.qualify(name), database.describe(name)
    finally:
        database.schema = own_schema
    missing = [column for column in ("order_id", "promised_at") if shape is None or column not in shape.columns]
    if missing:
        what = "does not exist" if shape is None else f"has no column {' and '.join(missing)}"
        raise InvalidArgumentError(
            f"promised_table: the table {qualified} {what}. It needs the columns order_id and promised_at"
        )
    return qualified


def _lineage(connection: Connection, schema: str | None, table: str) -> LineageDataset:
    """Name a table by the rules of OpenLineage."""
    port = find_kind(connection).port
    name = ".".join(part for part in (connection.schema if port else None, schema, table) if part)
    if port:
        return LineageDataset(f"{connection.conn_type}://{connection.host}:{connection.port or port}", name)
    return LineageDataset(f"{connection.conn_type}://{connection.host or ''}", name)
