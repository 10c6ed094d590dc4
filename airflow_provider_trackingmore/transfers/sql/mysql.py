"""MySQL and MariaDB, over mysqlclient, MySQL Connector/Python or PyMySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.schema import Column, ColumnType
from airflow_provider_trackingmore.loading.views import MYSQL
from airflow_provider_trackingmore.transfers.sql.database import Database, ResultRow, Row, chunks
from airflow_provider_trackingmore.transfers.sql.errors import database_errors, error_code
from airflow_provider_trackingmore.transfers.sql.tables import TableShape

_LOCKED = {"1205", "3572"}
"""MariaDB's and MySQL's answer to NOWAIT."""

INSERTED_ROWS = 1000
UPDATED_ROWS = 200

_TEXT = frozenset({ColumnType.KEY, ColumnType.TEXT})
_HOLDS = {
    "varchar": _TEXT,
    "tinytext": frozenset[ColumnType](),
    "text": _TEXT,
    "mediumtext": _TEXT,
    "longtext": _TEXT,
    "tinyint": frozenset({ColumnType.BOOLEAN}),
    "int": frozenset({ColumnType.INTEGER}),
    "bigint": frozenset({ColumnType.INTEGER}),
}


class MySQL(Database):
    """MySQL and MariaDB."""

    name = "MySQL"
    dialect = MYSQL
    quote_character = "`"
    types: ClassVar[Mapping[ColumnType, str]] = {
        ColumnType.KEY: "varchar({length})",
        ColumnType.TEXT: "mediumtext",
        ColumnType.UTC: "datetime(6)",
        ColumnType.LOCAL: "datetime",
        ColumnType.BOOLEAN: "tinyint(1)",
        ColumnType.INTEGER: "bigint",
    }
    _table_end = " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

    def _prepare_session(self) -> None:
        # The drivers escape texts by the character set that they know of.
        if hasattr(self._connection, "set_charset_collation"):
            self._connection.set_charset_collation("utf8mb4")
        else:
            self._connection.set_character_set("utf8mb4")
        cursor = self._open_cursor()
        cursor.execute("SET NAMES utf8mb4 COLLATE utf8mb4_bin")
        cursor.execute(
            "SET SESSION autocommit = 1, sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', "
            "time_zone = '+00:00', innodb_lock_wait_timeout = 86400, wait_timeout = 86400"
        )
        with suppress(Exception):  # only MariaDB has it
            cursor.execute("SET SESSION idle_transaction_timeout = 0")
        cursor.close()

    def _open_cursor(self) -> Any:
        # The connection may ask for cursors that return dicts.
        if type(self._connection).__module__.startswith("MySQLdb"):
            from MySQLdb.cursors import Cursor

            return self._connection.cursor(Cursor)
        return self._connection.cursor()

    def begin(self, state_table: str, account: str) -> None:
        """Begin the transaction, and lock the state of the account in it. Wait for another load that has it."""
        lock = f"SELECT stream FROM {state_table} WHERE account = %s ORDER BY stream FOR UPDATE"
        action = f"locking the state in {state_table}"
        self.execute("beginning the transaction", "START TRANSACTION")
        with database_errors(action):
            try:
                self._run(f"{lock} NOWAIT", [account])
                self._cursor.fetchall()
            except Exception as error:
                if error_code(error) not in _LOCKED:
                    raise
            else:
                return
        self.rollback()
        self.log.info("Another load of account %s is running: waiting for its end", account)
        self.execute("beginning the transaction", "START TRANSACTION")
        self.execute(action, lock, [account])

    def describe(self, table: str) -> TableShape | None:
        """Look a table up."""
        action = f"reading the columns of {self.qualify(table)}"
        where = "table_schema = COALESCE(%s, DATABASE()) AND table_name = %s"
        columns = self.execute(
            action,
            "SELECT column_name, data_type, datetime_precision, is_nullable = 'NO' AND column_default IS NULL "
            f"AND extra NOT LIKE '%%auto_increment%%' FROM information_schema.columns WHERE {where}",
            [self.schema, table],
        )
        if not columns:
            return None
        keys = self.execute(
            action,
            f"SELECT index_name, column_name FROM information_schema.statistics WHERE {where} AND non_unique = 0",
            [self.schema, table],
        )
        found: dict[str, set[str]] = {}
        for index, column in keys:
            found.setdefault(_text(index), set()).add(_text(column))
        return TableShape(
            {_text(name): _holds(_text(type_name), precision) for name, type_name, precision, _ in columns},
            frozenset(_text(name) for name, _, _, is_required in columns if is_required),
            frozenset(map(frozenset, found.values())),
        )

    def select(self, table: str, names: Sequence[str], account: str, keys: Sequence[ShipmentKey]) -> list[ResultRow]:
        """Read the rows of shipments."""
        carriers: dict[str, list[str]] = {}
        for key in keys:
            carriers.setdefault(key.carrier_code, []).append(key.tracking_number)
        conditions, parameters = [], []
        for carrier, numbers in carriers.items():
            # Lists of single values, because MariaDB does not use an index for lists of pairs.
            conditions.append(f"(carrier_code = %s AND tracking_number IN ({', '.join(['%s'] * len(numbers))}))")
            parameters += [carrier, *numbers]
        if not conditions:
            return []
        return self.execute(
            f"reading {self.qualify(table)}",
            f"SELECT {self.columns(names)} FROM {self.qualify(table)} WHERE account = %s "
            f"AND ({' OR '.join(conditions)})",
            [account, *parameters],
        )

    def insert(self, table: str, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        """Insert rows."""
        name = self.qualify(table)
        head = f"INSERT INTO {name} ({self.columns(column.name for column in columns)}) VALUES "
        values = f"({', '.join(['%s'] * len(columns))})"
        for chunk in chunks(rows, INSERTED_ROWS):
            self.execute(f"writing to {name}", head + ", ".join([values] * len(chunk)), self._parameters(chunk))

    def update(
        self,
        table: str,
        key: Sequence[Column],
        columns: Sequence[Column],
        rows: Sequence[Row],
        assignments: Mapping[str, str],
    ) -> None:
        """Update rows. MySQL makes the assignments in order, and reads what it has assigned."""
        name = self.qualify(table)
        changes = self._changes(assignments, lambda c: f"t.{self.quote(c)}", lambda c: f"s.{self.quote(c)}", "t.")
        match = self._match(key)
        staged = (*key, *columns)
        first = "SELECT " + ", ".join(f"%s AS {self.quote(column.name)}" for column in staged)
        other = " UNION ALL SELECT " + ", ".join(["%s"] * len(staged))
        for chunk in chunks(rows, UPDATED_ROWS):
            self.execute(
                f"writing to {name}",
                f"UPDATE {name} t JOIN ({first}{other * (len(chunk) - 1)}) s ON {match} SET {changes}",
                self._parameters(chunk),
            )

    def _parameters(self, rows: Sequence[Row]) -> list[Any]:
        convert = self.convert
        return [convert(value) for row in rows for value in row]


def _holds(type_name: str, precision: int | None) -> frozenset[ColumnType]:
    if type_name == "datetime":
        return frozenset({ColumnType.LOCAL, ColumnType.UTC} if precision == 6 else {ColumnType.LOCAL})
    return _HOLDS.get(type_name, frozenset())


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
