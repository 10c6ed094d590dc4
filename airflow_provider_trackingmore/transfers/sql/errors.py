"""Report the errors of database drivers without the values that drivers put into them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_trackingmore.api.errors import Retry, TrackingMoreError

_HINTS = {
    "42501": "the user of sql_conn_id lacks a privilege on it",
    "25006": "the database is read-only",
    "3F000": "the schema does not exist: create it, or correct the argument schema",
    "3D000": "the database does not exist",
    "53100": "the disk is full",
    "40001": "another transaction was in the way: run the task again",
    "40P01": "another transaction was in the way: run the task again",
    "55P03": "another transaction was in the way: run the task again",
    "1142": "the user of sql_conn_id lacks a privilege on it",
    "1044": "the user of sql_conn_id lacks a privilege on the database",
    "1227": "the user of sql_conn_id lacks a privilege",
    "1213": "another transaction was in the way: run the task again",
    "1205": "another transaction was in the way: run the task again",
    "1290": "the database is read-only",
    "1049": "the database does not exist: correct the argument schema or the connection",
    "1153": "a row is larger than the server's max_allowed_packet",
    "2006": "the server has closed the connection",
    "2013": "the connection to the server was lost",
    "SQLITE_READONLY": "the database is read-only",
    "SQLITE_READONLY_DIRECTORY": "the directory of the database is read-only",
    "SQLITE_CANTOPEN": "the file cannot be opened: check the path in the connection, its directory and its permissions",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_NOTADB": "the file is not a SQLite database",
    "CatalogException": "a schema or table that it names does not exist: create it, or correct the argument schema",
    "TransactionException": "another load is writing to the same database: run the task again",
}


class LoadDatabaseError(TrackingMoreError):
    """The database of a load has refused a statement, or the connection to it failed. Nothing was committed.

    The message names the table and the database's code. It never contains values: drivers quote rows, and so personal
    data, in theirs.
    """

    retry = Retry.ALWAYS


@contextmanager
def database_errors(action: str) -> Iterator[None]:
    """Raise the errors of a driver as :class:`LoadDatabaseError`, without their text.

    :param action: what was being done, such as ``writing to "trackings"``.
    """
    try:
        yield
    except TrackingMoreError:
        raise
    except Exception as error:
        raise LoadDatabaseError(f"{action} failed ({describe_error(error)}){_hint(error)}") from None


def error_code(error: BaseException) -> str | None:
    """Return the code of a driver's error.

    :param error: the error.
    :return: SQLSTATE (PostgreSQL), number (MySQL) or name (SQLite); None if it has none.
    """
    for name in ("sqlstate", "pgcode", "sqlite_errorname", "errno"):
        code = getattr(error, name, None)
        if name == "sqlstate" and getattr(error, "errno", None):
            continue  # MySQL: its number says more
        if isinstance(code, (str, int)) and code != "":
            return str(code)
    first = error.args[0] if error.args else None
    return str(first) if isinstance(first, int) and type(error).__module__.startswith(("MySQLdb", "pymysql")) else None


def describe_error(error: BaseException) -> str:
    """Describe a driver's error without its text.

    :param error: the error.
    :return: its type and code, and what it concerns where the driver says so in a field of its own.
    """
    code = error_code(error)
    parts = [type(error).__name__, *([f"code {code}"] if code else [])]
    diagnostics = getattr(error, "diag", None)
    for field in ("table_name", "column_name", "constraint_name"):
        name = getattr(diagnostics, field, None)
        if name:
            parts.append(f"{field.removesuffix('_name')} {name}")
    return ", ".join(parts)


def _hint(error: BaseException) -> str:
    hint = _HINTS.get(error_code(error) or type(error).__name__)
    return f": {hint}" if hint else ""
