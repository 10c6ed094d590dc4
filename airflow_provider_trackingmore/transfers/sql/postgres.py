"""PostgreSQL, over psycopg 2 or 3: rows go by ``COPY``."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.schema import Column, ColumnType
from airflow_provider_trackingmore.loading.views import POSTGRESQL
from airflow_provider_trackingmore.transfers.sql.database import Database, ResultRow, Row
from airflow_provider_trackingmore.transfers.sql.errors import LoadDatabaseError, database_errors, error_code
from airflow_provider_trackingmore.transfers.sql.tables import TableShape

_LOCK_NOT_AVAILABLE = "55P03"
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_TEXT = frozenset({ColumnType.KEY, ColumnType.TEXT})
_HOLDS = {
    "text": _TEXT,
    "character varying": _TEXT,
    "timestamp with time zone": frozenset({ColumnType.UTC}),
    "timestamp without time zone": frozenset({ColumnType.LOCAL}),
    "boolean": frozenset({ColumnType.BOOLEAN}),
    "integer": frozenset({ColumnType.INTEGER}),
    "bigint": frozenset({ColumnType.INTEGER}),
}
_STAGE = "pg_temp.trackingmore_load_rows"


class Postgres(Database):
    """PostgreSQL."""

    name = "PostgreSQL"
    dialect = POSTGRESQL
    types: ClassVar[Mapping[ColumnType, str]] = {
        ColumnType.KEY: "text",
        ColumnType.TEXT: "text",
        ColumnType.UTC: "timestamptz",
        ColumnType.LOCAL: "timestamp",
        ColumnType.BOOLEAN: "boolean",
        ColumnType.INTEGER: "bigint",
    }

    def _prepare_session(self) -> None:
        self._is_psycopg2 = type(self._connection).__module__.startswith("psycopg2")
        self._connection.autocommit = True
        if not self._is_psycopg2:
            self._connection.prepare_threshold = None  # a connection pooler may not know prepared statements

    def _open_cursor(self) -> Any:
        # The connection may ask for cursors that return dicts.
        if self._is_psycopg2:
            from psycopg2.extensions import cursor

            return self._connection.cursor(cursor_factory=cursor)
        from psycopg.rows import tuple_row

        return self._connection.cursor(row_factory=tuple_row)

    def begin(self, state_table: str, account: str) -> None:
        """Begin the transaction, and lock the state of the account in it. Wait for another load that has it."""
        lock = f"SELECT stream FROM {state_table} WHERE account = %s ORDER BY stream FOR UPDATE"
        action = f"locking the state in {state_table}"
        self._begin()
        with database_errors(action):
            try:
                self._run(f"{lock} NOWAIT", [account])
            except Exception as error:
                if error_code(error) != _LOCK_NOT_AVAILABLE:
                    raise
            else:
                return
        self.rollback()
        self.log.info("Another load of account %s is running: waiting for its end", account)
        self._begin()
        self.execute(action, lock, [account])

    def _begin(self) -> None:
        with database_errors("beginning the transaction"):
            self._run("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            # Everything is local to the transaction, because a connection pooler may lend the session to others.
            settings = ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"]
            self._run("SELECT current_setting('transaction_timeout', true), current_setting('server_encoding')")
            transaction_timeout, encoding = self._cursor.fetchone()
            settings += ["transaction_timeout"] if transaction_timeout is not None else []
            for setting in settings:
                self._run(f"SET LOCAL {setting} = 0")
            self._run("SET LOCAL TIME ZONE 'UTC'")
            self._run("SET LOCAL client_encoding = 'UTF8'")
        if encoding not in ("UTF8", "SQL_ASCII"):
            self.rollback()
            raise LoadDatabaseError(
                f"The database of sql_conn_id has the encoding {encoding}, which cannot store every text of "
                "TrackingMore: use a database with the encoding UTF8"
            )

    def describe(self, table: str) -> TableShape | None:
        """Look a table up."""
        action, name = f"reading the columns of {self.qualify(table)}", self.qualify(table)
        columns = self.execute(
            action,
            "SELECT attname, format_type(atttypid, NULL), attnotnull AND NOT atthasdef AND attidentity = '' "
            "FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            [name],
        )
        if not columns:
            return None
        keys = self.execute(
            action,
            "SELECT i.indexrelid, a.attname FROM pg_index i "
            "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
            "WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL",
            [name],
        )
        found: dict[Any, set[str]] = {}
        for index, column in keys:
            found.setdefault(index, set()).add(column)
        return TableShape(
            {name: _HOLDS.get(type_name, frozenset()) for name, type_name, _ in columns},
            frozenset(name for name, _, is_required in columns if is_required),
            frozenset(map(frozenset, found.values())),
        )

    def select(self, table: str, names: Sequence[str], account: str, keys: Sequence[ShipmentKey]) -> list[ResultRow]:
        """Read the rows of shipments."""
        columns = self.columns(names, "t.")
        return self.execute(
            f"reading {self.qualify(table)}",
            f"SELECT {columns} FROM unnest(%s::text[], %s::text[]) AS k (carrier_code, tracking_number) "
            f"JOIN {self.qualify(table)} t ON t.account = %s AND t.carrier_code = k.carrier_code "
            "AND t.tracking_number = k.tracking_number",
            [[key.carrier_code for key in keys], [key.tracking_number for key in keys], account],
        )

    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        """Insert rows."""
        self._copy(self.qualify(table), columns, rows)

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
        staged = (*key, *columns)
        definitions = ", ".join(f"{self.quote(column.name)} {self.type_of(column)}" for column in staged)
        self.execute(f"staging rows for {name}", f"CREATE TEMPORARY TABLE trackingmore_load_rows ({definitions})")
        self._copy(_STAGE, staged, rows, f"staging rows for {name}")
        changes = self._changes(assignments, lambda c: f"t.{self.quote(c)}", lambda c: f"s.{self.quote(c)}")
        match = self._match(key)
        self.execute(f"writing to {name}", f"UPDATE {name} t SET {changes} FROM {_STAGE} s WHERE {match}")
        self.execute(f"staging rows for {name}", f"DROP TABLE {_STAGE}")

    def convert(self, value: object) -> object:
        """Leave values as they are: the driver takes them all."""
        return value

    def _copy(self, name: str, columns: Sequence[Column], rows: Sequence[Row], action: str | None = None) -> None:
        if not rows:
            return
        statement = f"COPY {name} ({self.columns(column.name for column in columns)}) FROM STDIN"
        with database_errors(action or f"writing to {name}"):
            text = _to_copy_text(rows)
            if self._is_psycopg2:
                self._cursor.copy_expert(statement, io.BytesIO(text))
            else:
                with self._cursor.copy(statement) as copy:
                    copy.write(text)


def _to_copy_text(rows: Sequence[Row]) -> bytes:
    """Write rows in PostgreSQL's text format for ``COPY``."""
    escape, has_special = _escape, _SPECIAL.search
    lines = []
    for row in rows:
        cells = []
        for value in row:
            if value is None:
                cells.append("\\N")
            elif isinstance(value, str):
                cells.append(_SPECIAL.sub(escape, value) if has_special(value) else value)
            elif isinstance(value, datetime):
                cells.append(value.isoformat(" "))
            else:
                cells.append(str(value))
        lines.append("\t".join(cells))
    lines.append("")
    return "\n".join(lines).encode()


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES[match.group()]
