"""Reads what loads have stored with plain SQL: SQLite, PostgreSQL, and DuckDB over the views of the documentation."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from tests.chaos.load_checker import Loaded, StoredEvent, StoredShipment, make_event, to_utc

SQL = Path(__file__).parents[2] / "docs" / "sql" / "duckdb"
Query: TypeAlias = Callable[[str], list[tuple[Any, ...]]]
TABLES = ("trackings", "tracking_events", "tracking_status_changes")


def read_tables(query: Query) -> Loaded:
    """Read the three documented tables."""
    shipments = [
        ((row[0], row[1]), StoredShipment(row[2], to_utc(row[3]), to_utc(row[4]), row[5]))
        for row in query(
            "SELECT carrier_code, tracking_number, status, missing_since, updated_at, order_id FROM trackings"
        )
    ]
    events = [
        StoredEvent((row[0], row[1]), make_event(*row[2:6]), to_utc(row[6]), to_utc(row[7]))
        for row in query(
            "SELECT carrier_code, tracking_number, event_time_local, description, place, status, first_seen_at, "
            "superseded_at FROM tracking_events"
        )
    ]
    changes = [
        ((row[0], row[1]), to_utc(row[2]), row[3], row[4])
        for row in query(
            "SELECT carrier_code, tracking_number, observed_at, previous_status, status FROM tracking_status_changes"
        )
    ]
    return Loaded(
        dict(shipments),
        events,
        surplus_shipments=len(shipments) - len(dict(shipments)),
        status_changes=[(key, observed, old, new) for key, observed, old, new in changes if observed is not None],
    )


def digest_tables(query: Query) -> str | None:
    """A hash of the three tables, to see whether anything has changed; None if they are empty."""
    rows = [sorted(map(repr, query(f"SELECT * FROM {table}"))) for table in TABLES]
    return hashlib.sha256(repr(rows).encode()).hexdigest() if any(rows) else None


class SQLiteFile:
    """A database in a file.

    :param path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()

    def sequence(self) -> int:
        """The number of loads whose rows count."""
        try:
            rows = self.query("SELECT sequence FROM trackingmore_load_state")
        except sqlite3.OperationalError:
            return 0
        return int(rows[0][0]) if rows else 0

    def read(self) -> Loaded:
        return read_tables(self.query)

    def has_tables(self) -> bool:
        """Whether all tables exist."""
        names = {name for (name,) in self.query("SELECT name FROM sqlite_master")}
        return names >= {*TABLES}

    def digest(self) -> str | None:
        """A hash of the tables; None before the first load."""
        return digest_tables(self.query) if self.has_tables() else None


class PostgresDatabase(SQLiteFile):
    """A database of a server.

    :param server: from ``tests.scale.postgres``.
    :param name: its name.
    """

    def __init__(self, server: Any, name: str) -> None:
        self._server, self._name = server, name
        server.rows(f"CREATE DATABASE {name}")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._server.rows(statement, database=self._name)
        return found

    def has_tables(self) -> bool:
        return all(self.query(f"SELECT to_regclass('{table}')")[0][0] for table in TABLES)

    def sequence(self) -> int:
        if not self.query("SELECT to_regclass('trackingmore_load_state')")[0][0]:
            return 0
        rows = self.query("SELECT sequence FROM trackingmore_load_state")
        return int(rows[0][0]) if rows else 0


class Lake:
    """A folder of files with manifests.

    :param path: the folder.
    :param name: of the query in ``docs/sql/duckdb`` that reads the files.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name

    def _manifests(self) -> list[Path]:
        return sorted(self._path.glob("_manifests/*/*.json"))

    def sequence(self) -> int:
        return len(self._manifests())

    def digest(self) -> str | None:
        """A hash of all that counts; fails if a file that counts is not what its manifest says."""
        if not self.sequence():
            return None
        found = hashlib.sha256()
        for manifest in self._manifests():
            content = json.loads(manifest.read_bytes())
            for file in (*content["files"], content["state"]):
                digest = hashlib.sha256((self._path / file["path"]).read_bytes()).hexdigest()
                assert digest == file["sha256"], file["path"]
                found.update(digest.encode())
        return found.hexdigest()

    def read(self) -> Loaded:
        import duckdb

        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET VARIABLE lake = ?", [str(self._path)])
            for name in (self._name, "tables.sql"):
                connection.execute((SQL / name).read_text(encoding="utf-8"))

            def query(statement: str) -> list[tuple[Any, ...]]:
                return connection.execute(statement).fetchall()

            loaded = read_tables(query)
            # The views hide rows that were written twice.
            loaded.surplus_shipments += _repeated(query, "carrier_code, tracking_number, changed_at", "tracking_rows")
            loaded.surplus_events += _repeated(query, "carrier_code, tracking_number, event_key", "event_rows")
            return loaded


def _repeated(query: Query, columns: str, table: str) -> int:
    return sum(count - 1 for count in Counter(query(f"SELECT {columns} FROM {table}")).values())


def read_appended(path: Path) -> Loaded:
    """Read the tables of the loader that appends: the newest row of a shipment counts."""
    database = SQLiteFile(path)
    rows = database.query("SELECT carrier, number, status, updated_at FROM trackings ORDER BY rowid")
    events = database.query("SELECT carrier, number, time, text, place, status FROM events")
    return Loaded(
        {(row[0], row[1]): StoredShipment(row[2]) for row in rows},
        [StoredEvent((row[0], row[1]), make_event(*row[2:6])) for row in events],
        surplus_shipments=sum(count - 1 for count in Counter(rows).values()),
    )


def read_merged(path: Path) -> Loaded:
    """Read the tables that dlt has written."""
    import duckdb

    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute("SELECT carrier, number, status FROM shipments.trackings").fetchall()
        events = connection.execute(
            "SELECT t.carrier, t.number, e.time, e.text, e.place, e.status FROM shipments.trackings__events e "
            "JOIN shipments.trackings t ON t._dlt_id = e._dlt_parent_id"
        ).fetchall()
    shipments = {(row[0], row[1]): StoredShipment(row[2]) for row in rows}
    return Loaded(
        shipments,
        [StoredEvent((row[0], row[1]), make_event(*row[2:6])) for row in events],
        surplus_shipments=len(rows) - len(shipments),
    )
