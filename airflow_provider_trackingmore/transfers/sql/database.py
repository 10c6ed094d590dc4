"""What a load needs from a database. There is a subclass for each database; none of them knows what the rows mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar, TypeAlias

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.schema import Column, ColumnType, Table
from airflow_provider_trackingmore.loading.views import ViewDialect
from airflow_provider_trackingmore.transfers.progress import Log
from airflow_provider_trackingmore.transfers.sql.errors import database_errors
from airflow_provider_trackingmore.transfers.sql.tables import TableShape

Row: TypeAlias = Sequence[object]
ResultRow: TypeAlias = tuple[object, ...]


class Database(ABC):
    """A connection to a database, and the statements of a load in its dialect.

    The connection is in autocommit mode; :meth:`begin` starts the transaction of a load.

    :param connection: the driver's connection, as Airflow's hook opens it.
    :param schema: the schema of all tables; None for the connection's default.
    :param log: the task's logger.
    """

    name: ClassVar[str]
    dialect: ClassVar[ViewDialect]
    types: ClassVar[Mapping[ColumnType, str]]
    placeholder: ClassVar[str] = "%s"
    quote_character: ClassVar[str] = '"'
    replaces_views: ClassVar[bool] = True
    """Whether it knows ``CREATE OR REPLACE VIEW``."""

    def __init__(self, connection: object, schema: str | None, log: Log) -> None:
        self._connection: Any = connection
        self.schema = schema
        self.log = log
        with database_errors(f"preparing the session on {self.name}"):
            self._prepare_session()
            self._cursor = self._open_cursor()

    # Names and statements --------------------------------------------------------------------------------------------

    def quote(self, name: str) -> str:
        """Quote a name.

        :param name: the name.
        :return: the name in the quotes of the database.
        """
        quote = self.quote_character
        return f"{quote}{name.replace(quote, quote * 2)}{quote}"

    def qualify(self, table: str) -> str:
        """Quote the name of a table, with the schema if one is given.

        :param table: its name.
        :return: as a statement names it.
        """
        return f"{self.quote(self.schema)}.{self.quote(table)}" if self.schema else self.quote(table)

    def columns(self, names: Iterable[str], table: str = "") -> str:
        """List columns.

        :param names: their names.
        :param table: what precedes each, such as ``t.``.
        :return: as a statement lists them.
        """
        return ", ".join(f"{table}{self.quote(name)}" for name in names)

    def execute(self, action: str, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement.

        :param action: what it does, for errors.
        :param statement: the statement.
        :param parameters: its parameters.
        :return: the rows, if it returns any.
        :raises LoadDatabaseError: without values.
        """
        with database_errors(action):
            self._run(statement, parameters)
            return [tuple(row) for row in self._cursor.fetchall()] if self._cursor.description else []

    def _run(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        if parameters:
            self._cursor.execute(statement, parameters)
        else:
            self._cursor.execute(statement)

    # The session and its transaction ---------------------------------------------------------------------------------

    @abstractmethod
    def _prepare_session(self) -> None:
        """Set what the statements rely on, and autocommit."""

    def _open_cursor(self) -> Any:
        return self._connection.cursor()

    @abstractmethod
    def begin(self, state_table: str, account: str) -> None:
        """Begin the transaction, and lock the state of the account in it. Wait for another load that has it.

        :param state_table: the qualified name of the table.
        :param account: the account.
        """

    def commit(self) -> None:
        """Commit."""
        self.execute("committing", "COMMIT")

    def rollback(self) -> None:
        """Roll back, if that is still possible. The server does so too when the connection is closed."""
        with suppress(Exception):
            self._run("ROLLBACK")

    def close(self) -> None:
        """Close the connection."""
        with suppress(Exception):
            self._connection.close()

    # Tables and views ------------------------------------------------------------------------------------------------

    @abstractmethod
    def describe(self, table: str) -> TableShape | None:
        """Look a table up.

        :param table: its name.
        :return: its shape; None if there is none.
        """

    def type_of(self, column: Column) -> str:
        """Return the type of a column.

        :param column: the column.
        :return: as ``CREATE TABLE`` names it.
        """
        return self.types[column.type].format(length=column.length)

    def create_table(self, name: str, table: Table) -> str:
        """Write the statement that creates a table.

        :param name: its name.
        :param table: the table.
        :return: the statement.
        """
        lines = [
            f"{self.quote(column.name)} {self.type_of(column)}{' NOT NULL' if column.is_required else ''}"
            for column in table.columns
        ]
        lines.append(f"PRIMARY KEY ({self.columns(table.key)})")
        return f"CREATE TABLE IF NOT EXISTS {self.qualify(name)} (\n  " + ",\n  ".join(lines) + f"\n){self._table_end}"

    _table_end: ClassVar[str] = ""

    def add_column(self, name: str, column: Column) -> str:
        """Write the statement that adds a column.

        :param name: the name of the table.
        :param column: the column.
        :return: the statement.
        """
        return f"ALTER TABLE {self.qualify(name)} ADD COLUMN {self.quote(column.name)} {self.type_of(column)}"

    def create_view(self, name: str, query: str) -> list[str]:
        """Write the statements that create or replace a view.

        :param name: its name.
        :param query: its query.
        :return: the statements.
        """
        view = self.qualify(name)
        if self.replaces_views:
            return [f"CREATE OR REPLACE VIEW {view} AS\n{query}"]
        return [f"DROP VIEW IF EXISTS {view}", f"CREATE VIEW {view} AS\n{query}"]

    # Rows ------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def select(self, table: str, names: Sequence[str], account: str, keys: Sequence[ShipmentKey]) -> list[ResultRow]:
        """Read the rows of shipments.

        :param table: the name of the table.
        :param names: the columns.
        :param account: the account.
        :param keys: the shipments.
        :return: the rows.
        """

    @abstractmethod
    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        """Insert rows.

        :param table: the name of the table.
        :param columns: the columns of the rows.
        :param rows: the rows.
        """

    @abstractmethod
    def update(
        self,
        table: str,
        key: Sequence[Column],
        columns: Sequence[Column],
        rows: Sequence[Row],
        assignments: Mapping[str, str],
    ) -> None:
        """Update rows.

        :param table: the name of the table.
        :param key: the columns that identify a row; they come first in ``rows``.
        :param columns: the other columns of the rows.
        :param rows: the rows.
        :param assignments: column -> expression, in which ``{old.place}`` and ``{new.place}`` stand for the values of a
            column in the table and in the row.
        """

    def _match(self, key: Sequence[Column]) -> str:
        """Join the table ``t`` and the rows ``s`` by their keys."""
        return " AND ".join(f"t.{self.quote(column.name)} = s.{self.quote(column.name)}" for column in key)

    def _changes(
        self, assignments: Mapping[str, str], old: Callable[[str], str], new: Callable[[str], str], target: str = ""
    ) -> str:
        texts = {"old": ColumnTexts(old), "new": ColumnTexts(new)}
        return ", ".join(f"{target}{self.quote(name)} = {text.format(**texts)}" for name, text in assignments.items())

    def convert(self, value: object) -> object:
        """Convert a value for the driver.

        :param value: a text, a boolean, a number, a time in UTC or None.
        :return: what the driver takes.
        """
        return format_utc(value) if isinstance(value, datetime) else value


class ColumnTexts:
    """Says how a statement writes a column: ``str.format`` reads ``{new.place}`` as an attribute.

    :param write: returns the text for a column.
    """

    def __init__(self, write: Callable[[str], str]) -> None:
        self._write = write

    def __getattr__(self, name: str) -> str:
        return self._write(name)


def format_utc(time: datetime) -> str:
    """Write a time in UTC as databases without time zones store it.

    :param time: an aware time in UTC.
    :return: such as ``2026-03-02 08:00:00.000000``.
    """
    return time.isoformat(" ", "microseconds")[:26]


def chunks(rows: Sequence[Row], max_rows: int, max_characters: int = 1_000_000) -> Iterator[Sequence[Row]]:
    """Split rows, so that no statement becomes too large.

    :param rows: the rows.
    :param max_rows: rows per chunk at most.
    :param max_characters: characters of text per chunk at most, unless a single row has more.
    :return: the chunks.
    """
    start = size = 0
    for end, row in enumerate(rows):
        length = sum(len(value) for value in row if isinstance(value, str))
        if end > start and (end - start >= max_rows or size + length > max_characters):
            yield rows[start:end]
            start, size = end, 0
        size += length
    if rows:
        yield rows[start:]
