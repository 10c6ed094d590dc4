"""SQLite. Times in UTC are texts such as ``2026-03-02 08:00:00.000000``, which compare with ``datetime('now')``."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.schema import Column, ColumnType
from airflow_provider_trackingmore.loading.views import SQLITE
from airflow_provider_trackingmore.transfers.sql.database import Database, ResultRow, Row
from airflow_provider_trackingmore.transfers.sql.errors import database_errors
from airflow_provider_trackingmore.transfers.sql.tables import TableShape

MAX_CACHE = 16_000_000
"""Bytes that a load may have written before they leave memory for the file."""

_BUSY_SECONDS = 0.5
_LOG_SECONDS = 60.0


class SQLite(Database):
    """SQLite."""

    name = "SQLite"
    dialect = SQLITE
    placeholder = "?"
    replaces_views = False
    types: ClassVar[Mapping[ColumnType, str]] = {
        ColumnType.KEY: "TEXT",
        ColumnType.TEXT: "TEXT",
        ColumnType.UTC: "TEXT",
        ColumnType.LOCAL: "TEXT",
        ColumnType.BOOLEAN: "BOOLEAN",
        ColumnType.INTEGER: "INTEGER",
    }

    def _prepare_session(self) -> None:
        if self.schema not in (None, "main"):
            raise InvalidArgumentError("schema: SQLite has no schemas; leave it out")
        self._connection.isolation_level = None
        self._connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000:.0f}")
        # Spilling the cache locks readers out until the commit. Only a load that is too large for memory does it.
        ((page_size,),) = self._connection.execute("PRAGMA page_size")
        self._connection.execute(f"PRAGMA cache_spill = {MAX_CACHE // page_size}")

    def _run(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement; wait as long as another process has locked the database."""
        logged: float | None = None
        while True:
            try:
                self._cursor.execute(statement, parameters)
            except Exception as error:
                if not str(getattr(error, "sqlite_errorname", "")).startswith("SQLITE_BUSY"):
                    raise
                if logged is None or time.monotonic() - logged >= _LOG_SECONDS:
                    logged = time.monotonic()
                    self.log.info("Another process has locked the database: waiting for it")
            else:
                return

    def begin(self, state_table: str, account: str) -> None:
        """Begin the transaction, which locks the database for other writers. Wait for them."""
        self.execute("beginning the transaction", "BEGIN IMMEDIATE")

    def describe(self, table: str) -> TableShape | None:
        """Look a table up."""
        action = f"reading the columns of {self.qualify(table)}"
        columns = self.execute(
            action, 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', [table]
        )
        if not columns:
            return None
        keys = self.execute(
            action,
            "SELECT i.name, c.name FROM pragma_index_list(?) i, pragma_index_info(i.name) c "
            'WHERE i."unique" AND NOT i.partial',
            [table],
        )
        found = {"": {name for name, *_, key_rank in columns if key_rank}}
        for index, column in keys:
            found.setdefault(index, set()).add(column)
        return TableShape(
            {name: _holds(type_name) for name, type_name, *_ in columns},
            frozenset(name for name, _, is_required, default, _ in columns if is_required and default is None),
            frozenset(map(frozenset, found.values())),
        )

    def select(self, table: str, names: Sequence[str], account: str, keys: Sequence[ShipmentKey]) -> list[ResultRow]:
        """Read the rows of shipments."""
        columns = self.columns(names, "t.")
        # CROSS JOIN keeps the order: SQLite would read the whole table for each key otherwise.
        return self.execute(
            f"reading {self.qualify(table)}",
            f"SELECT {columns} FROM json_each(?) k CROSS JOIN {self.qualify(table)} t WHERE t.account = ? "
            "AND t.carrier_code = json_extract(k.value, '$[0]') AND t.tracking_number = json_extract(k.value, '$[1]')",
            [json.dumps(keys), account],
        )

    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        """Insert rows."""
        name = self.qualify(table)
        values = ", ".join("?" * len(columns))
        self._run_many(name, f"INSERT INTO {name} ({self.columns(c.name for c in columns)}) VALUES ({values})", rows)

    def update(
        self,
        table: str,
        key: Sequence[Column],
        columns: Sequence[Column],
        rows: Sequence[Row],
        assignments: Mapping[str, str],
    ) -> None:
        """Update rows."""
        name = self.qualify(table)
        places = {column.name: f"?{place}" for place, column in enumerate((*key, *columns), 1)}
        changes = self._changes(assignments, self.quote, places.__getitem__)
        match = " AND ".join(f"{self.quote(column.name)} = ?{place}" for place, column in enumerate(key, 1))
        self._run_many(name, f"UPDATE {name} SET {changes} WHERE {match}", rows)

    def _run_many(self, name: str, statement: str, rows: Sequence[Row]) -> None:
        convert = self.convert
        with database_errors(f"writing to {name}"):
            self._cursor.executemany(statement, ([convert(value) for value in row] for row in rows))


def _holds(type_name: str) -> frozenset[ColumnType]:
    """SQLite stores any value in any column, but converts texts by the affinity of the column."""
    name = type_name.upper()
    if "INT" in name:
        return frozenset({ColumnType.BOOLEAN, ColumnType.INTEGER})
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return frozenset({ColumnType.KEY, ColumnType.TEXT, ColumnType.UTC, ColumnType.LOCAL})
    if not name or "BLOB" in name:
        return frozenset(ColumnType)
    if any(part in name for part in ("REAL", "FLOAT", "DOUBLE")):
        return frozenset()
    return frozenset({ColumnType.UTC, ColumnType.LOCAL, ColumnType.BOOLEAN, ColumnType.INTEGER})
