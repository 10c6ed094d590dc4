"""Reads a folder of loaded files as users do: with DuckDB, and the queries of the documentation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

SQL = Path(__file__).parents[4] / "docs" / "sql"
Row = dict[str, Any]


class Lake:
    """A local folder.

    :param path: the folder.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def manifests(self) -> list[dict[str, Any]]:
        """All manifests, oldest first."""
        return [json.loads(file.read_bytes()) for file in sorted(Path(self.path).glob("_manifests/*/*.json"))]

    def check(self) -> None:
        """Check that every file that counts is there, unchanged, with the name that its content demands."""
        sequences: dict[str, list[int]] = {}
        for manifest in self.manifests():
            sequences.setdefault(manifest["stream"], []).append(manifest["sequence"])
            for file in [*manifest["files"], manifest["state"]]:
                content = Path(self.path, file["path"]).read_bytes()
                assert hashlib.sha256(content).hexdigest() == file["sha256"]
                assert file["sha256"][:16] in file["path"]
        assert all(found == list(range(1, len(found) + 1)) for found in sequences.values())

    def files(self) -> dict[str, bytes]:
        """Everything in the folder, by its path below it."""
        root = Path(self.path)
        return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}

    def connect(self, file_format: str = "ndjson") -> duckdb.DuckDBPyConnection:
        """Open DuckDB with the views of the documentation."""
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET VARIABLE lake = ?", [self.path])
        for name in (f"files-{file_format}.sql", "tables.sql"):
            connection.execute((SQL / "duckdb" / name).read_text(encoding="utf-8"))
        return connection

    def query(self, sql: str, file_format: str = "ndjson") -> list[Row]:
        """Run a query over the views."""
        with self.connect(file_format) as connection:
            found = connection.execute(sql)
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def table(self, name: str, file_format: str = "ndjson") -> list[Row]:
        """All rows of a table, in order."""
        return self.query(f"SELECT * FROM {name} ORDER BY ALL", file_format)

    def tables(self, file_format: str = "ndjson") -> dict[str, list[Row]]:
        """All rows of all tables."""
        names = ("trackings", "tracking_events", "tracking_status_changes")
        return {name: self.table(name, file_format) for name in names}

    def rows_of_files(self, table: str) -> int:
        """How many rows the files of a table contain, by the manifests."""
        return sum(file["rows"] for found in self.manifests() for file in found["files"] if file["table"] == table)


Load = Callable[..., dict[str, Any]]
