"""Open the database of an Airflow connection, or say why that is not possible."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.transfers.progress import Log
from airflow_provider_trackingmore.transfers.sql.database import Database
from airflow_provider_trackingmore.transfers.sql.errors import LoadDatabaseError, describe_error

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

RECIPE = "https://airflow-provider-trackingmore.readthedocs.io/en/stable/how-to/load-into-snowflake-bigquery.html"
"""How to load into databases without a writer of their own."""


class Kind(NamedTuple):
    """A database that loads can write to."""

    writer: str
    package: str
    port: int | None


KINDS = {
    "postgres": Kind("postgres.Postgres", "apache-airflow-providers-postgres", 5432),
    "sqlite": Kind("sqlite.SQLite", "apache-airflow-providers-sqlite", None),
    "mysql": Kind("mysql.MySQL", "apache-airflow-providers-mysql", 3306),
    "duckdb": Kind("duckdb.DuckDB", "airflow-provider-duckdb", None),
}
"""Connection type -> its writer."""


def find_kind(connection: Connection) -> Kind:
    """Find the writer for a connection.

    :param connection: the Airflow connection.
    :return: the kind of database.
    :raises InvalidArgumentError: if there is no writer for it.
    """
    kind = KINDS.get(connection.conn_type or "")
    extra = connection.extra_dejson
    if kind is None or extra.get("redshift") or extra.get("redshift-serverless"):
        name = "redshift" if kind else connection.conn_type
        raise InvalidArgumentError(
            f"sql_conn_id: the connection {connection.conn_id} is of the type {name!r}, to which loads cannot write. "
            f"They write to {', '.join(KINDS)}. For Snowflake, BigQuery and others, load files first: see {RECIPE}"
        )
    return kind


def is_missing_file(connection: Connection) -> bool:
    """Tell whether the database is a file that opening the connection would create.

    :param connection: the Airflow connection.
    :raises InvalidArgumentError: if there is no writer for it.
    """
    path = connection.host
    if find_kind(connection).port is not None or not path or path.startswith(":"):
        return False
    return not os.path.exists(path) and os.path.isdir(os.path.dirname(path) or ".")


def open_database(connection: Connection, schema: str | None, log: Log) -> Database:
    """Open the database of a connection, with its hook.

    :param connection: the Airflow connection.
    :param schema: the schema of all tables; None for the connection's default.
    :param log: the task's logger.
    :return: the database.
    :raises InvalidArgumentError: if there is no writer for it, or a package is missing.
    :raises LoadDatabaseError: if it cannot be reached.
    """
    kind = find_kind(connection)
    try:
        importlib.import_module("airflow.providers.common.sql.hooks.sql")
        hook = cast("Any", connection).get_hook()
    except Exception as error:
        raise InvalidArgumentError(
            f"sql_conn_id: the connection {connection.conn_id} cannot be used without {kind.package} "
            f"({type(error).__name__}). Install it on the workers: "
            f'pip install "airflow-provider-trackingmore[sql]" {kind.package}'
        ) from None
    driver = _connect(connection, hook)
    module, _, name = kind.writer.partition(".")
    writer: type[Database] = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    try:
        return writer(driver, schema, log)
    except BaseException:
        driver.close()
        raise


def _connect(connection: Connection, hook: Any) -> Any:
    try:
        return hook.get_conn()
    except ImportError as error:
        message = f"sql_conn_id: a package is missing for the connection {connection.conn_id}: {error}"
    except Exception as error:
        if "Could not set lock on file" in str(error):
            message = (
                f"sql_conn_id: another process has opened the DuckDB file of {connection.conn_id}, which allows one "
                "at a time. Run the task again later: give it retries, or a pool with one slot"
            )
        else:
            message = (
                f"sql_conn_id: the connection {connection.conn_id} cannot be opened ({describe_error(error)}). Check "
                f"its fields, for example with: airflow connections test {connection.conn_id}"
            )
    raise LoadDatabaseError(message)
