"""DuckDB. One process at a time opens its file for writing. Rows go as one list per column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.schema import Column, ColumnType
from airflow_provider_trackingmore.loading.views import DUCKDB
from airflow_provider_trackingmore.transfers.sql.database import Database, ResultRow, Row
from airflow_provider_trackingmore.transfers.sql.tables import TableShape

_TEXT = frozenset({ColumnType.KEY, ColumnType.TEXT})
_HOLDS = {
    "VARCHAR": _TEXT,
    "TIMESTAMP": frozenset({ColumnType.UTC, ColumnType.LOCAL}),
    "BOOLEAN": frozenset({ColumnType.BOOLEAN}),
    "INTEGER": frozenset({ColumnType.INTEGER}),
    "BIGINT": frozenset({ColumnType.INTEGER}),
}


class DuckDB(Database):
    """DuckDB."""

    name = "DuckDB"
    dialect = DUCKDB
    placeholder = "?"
    types: ClassVar[Mapping[ColumnType, str]] = {
        ColumnType.KEY: "VARCHAR",
        ColumnType.TEXT: "VARCHAR",
        ColumnType.UTC: "TIMESTAMP",
        ColumnType.LOCAL: "TIMESTAMP",
        ColumnType.BOOLEAN: "BOOLEAN",
        ColumnType.INTEGER: "BIGINT",
    }

    def _prepare_session(self) -> None:
        """Nothing: the connection is in autocommit mode, and the columns have no time zone."""

    def _open_cursor(self) -> Any:
        return self._connection

    def begin(self, state_table: str, account: str) -> None:
        """Begin the transaction. Two that write the same rows cannot both commit: the second one fails."""
        self.execute("beginning the transaction", "BEGIN TRANSACTION")

    def describe(self, table: str) -> TableShape | None:
        """Look a table up."""
        action = f"reading the columns of {self.qualify(table)}"
        where = (
            "database_name = current_database() AND schema_name = COALESCE(?, current_schema()) AND table_name = ?",
            [self.schema, table],
        )
        columns = self.execute(
            action,
            "SELECT column_name, data_type, NOT is_nullable AND column_default IS NULL FROM duckdb_columns() WHERE "
            + where[0],
            where[1],
        )
        if not columns:
            return None
        keys = self.execute(
            action,
            "SELECT constraint_column_names FROM duckdb_constraints() "
            "WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE') AND " + where[0],
            where[1],
        )
        return TableShape(
            {name: _HOLDS.get(type_name, frozenset()) for name, type_name, _ in columns},
            frozenset(name for name, _, is_required in columns if is_required),
            frozenset(frozenset(names) for (names,) in keys),
        )

    def select(self, table: str, names: Sequence[str], account: str, keys: Sequence[ShipmentKey]) -> list[ResultRow]:
        """Read the rows of shipments."""
        columns = self.columns(names, "t.")
        return self.execute(
            f"reading {self.qualify(table)}",
            f"SELECT {columns} FROM (SELECT unnest(?::VARCHAR[]) AS carrier_code, unnest(?::VARCHAR[]) AS "
            f"tracking_number) k JOIN {self.qualify(table)} t ON t.account = ? AND t.carrier_code = k.carrier_code "
            "AND t.tracking_number = k.tracking_number",
            [[key.carrier_code for key in keys], [key.tracking_number for key in keys], account],
        )

    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        """Insert rows."""
        if not rows:
            return
        name, names = self.qualify(table), self.columns(column.name for column in columns)
        self.execute(
            f"writing to {name}",
            f"INSERT INTO {name} ({names}) SELECT {names} FROM {self._rows(columns)}",
            self._lists(rows),
        )

    def update(
        self,
        table: str,
        key: Sequence[Column],
        columns: Sequence[Column],
        rows: Sequence[Row],
        assignments: Mapping[str, str],
    ) -> None:
        """Update rows."""
        if not rows:
            return
        name = self.qualify(table)
        changes = self._changes(assignments, lambda c: f"t.{self.quote(c)}", lambda c: f"s.{self.quote(c)}")
        match = self._match(key)
        self.execute(
            f"writing to {name}",
            f"UPDATE {name} t SET {changes} FROM {self._rows((*key, *columns))} s WHERE {match}",
            self._lists(rows),
        )

    def _rows(self, columns: Sequence[Column]) -> str:
        lists = ", ".join(
            f"CAST(unnest(?::VARCHAR[]) AS {self.type_of(column)}) AS {self.quote(column.name)}" for column in columns
        )
        return f"(SELECT {lists})"

    def _lists(self, rows: Sequence[Row]) -> list[list[Any]]:
        convert = self.convert
        return [[convert(value) for value in column] for column in zip(*rows, strict=True)]

    def convert(self, value: object) -> object:
        """Convert a value to text."""
        converted = super().convert(value)
        return converted if converted is None or isinstance(converted, str) else str(converted)
