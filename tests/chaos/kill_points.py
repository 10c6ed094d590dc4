"""The points at which a load can be killed: each HTTP call, statement, commit and write to a file, before and after it.

They are found by wrapping what the load uses: requests, the drivers of the databases, and the functions of ``os``.
"""

from __future__ import annotations

import builtins
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

REPAIR = "repair by hand"
"""The name of a point at which a load does what its documentation tells people to do after a crash."""


class KillPoints:
    """Counts the points that this process reaches, and kills it with SIGKILL at one of them.

    :param kill_at: the number of a point, from 1, or the name of one; None to kill nothing.
    :param report: the file that gets the names of the points, as JSON.
    """

    def __init__(self, kill_at: int | str | None, report: str) -> None:
        self._kill_at = kill_at
        self._report = report
        self.names: list[str] = []

    def reach(self, name: str) -> None:
        self.names.append(name)
        if self._kill_at in (name, len(self.names)):
            self.write_report()
            os.kill(os.getpid(), signal.SIGKILL)

    def write_report(self) -> None:
        file = os.open(self._report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(file, json.dumps(self.names).encode())
        os.close(file)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function: one point before it, one after it."""

        def counted(*arguments: Any, **keywords: Any) -> Any:
            self.reach(f"before {name}")
            result = function(*arguments, **keywords)
            self.reach(f"after {name}")
            return result

        return counted

    # What loads use --------------------------------------------------------------------------------------------------

    def count_calls(self) -> None:
        from requests.adapters import HTTPAdapter

        original = HTTPAdapter.send

        def send(adapter: HTTPAdapter, request: Any, *arguments: Any, **keywords: Any) -> Any:
            return self.around("call", original)(adapter, request, *arguments, **keywords)

        HTTPAdapter.send = send  # type: ignore[method-assign]

    def count_sqlite(self, path: str) -> None:
        """Count the statements of connections to one file."""
        points = self

        class Cursor(sqlite3.Cursor):
            def execute(self, statement: str, parameters: Any = (), /) -> sqlite3.Cursor:
                found: sqlite3.Cursor = points.around(_name(statement), super().execute)(statement, parameters)
                return found

            def executemany(self, statement: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
                many = points.half_way(f"half of {_name(statement)}", rows)
                found: sqlite3.Cursor = points.around(_name(statement), super().executemany)(statement, many)
                return found

        class Connection(sqlite3.Connection):
            def cursor(self, factory: Any = Cursor) -> Any:
                return super().cursor(factory)

            def commit(self) -> None:
                points.around("COMMIT", super().commit)()

        original = sqlite3.connect

        def connect(database: Any, *arguments: Any, **keywords: Any) -> Any:
            if path in str(database):
                keywords["factory"] = Connection
            return original(database, *arguments, **keywords)

        sqlite3.connect = connect  # type: ignore[assignment]

    def half_way(self, name: str, rows: Iterable[Any]) -> Iterator[Any]:
        everything = list(rows)
        for number, row in enumerate(everything):
            if number == len(everything) // 2:
                self.reach(name)
            yield row

    def count_postgres(self) -> None:
        import psycopg

        execute, copy, write = psycopg.Cursor.execute, psycopg.Cursor.copy, psycopg.Copy.write

        def counted_execute(cursor: Any, statement: Any, *arguments: Any, **keywords: Any) -> Any:
            return self.around(_name(str(statement)), execute)(cursor, statement, *arguments, **keywords)

        def counted_copy(cursor: Any, statement: Any, *arguments: Any, **keywords: Any) -> Any:
            return self.around("COPY", copy)(cursor, statement, *arguments, **keywords)

        def counted_write(copying: Any, data: Any) -> None:
            half = len(data) // 2
            write(copying, data[:half])
            self.reach("half of COPY")
            write(copying, data[half:])
            self.reach("all of COPY")

        psycopg.Cursor.execute = counted_execute  # type: ignore[method-assign]
        psycopg.Cursor.copy = counted_copy  # type: ignore[method-assign, assignment]
        psycopg.Copy.write = counted_write  # type: ignore[method-assign]

    def count_files(self, folder: str) -> None:
        """Count what happens to the files in a folder. Files are written in two halves."""
        for name in ("replace", "link", "unlink"):
            self._count_in(folder, name)
        os.fsync = self.around("fsync", os.fsync)
        points, original = self, builtins.open

        class HalfWritten:
            def __init__(self, file: Any) -> None:
                self._file = file

            def __enter__(self) -> HalfWritten:
                return self

            def __exit__(self, *_: object) -> None:
                self._file.close()

            def __getattr__(self, name: str) -> Any:
                return getattr(self._file, name)

            def write(self, content: bytes) -> None:
                self._file.write(content[: len(content) // 2])
                self._file.flush()
                points.reach("half of a file")
                self._file.write(content[len(content) // 2 :])

        def opened(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
            found = original(file, mode, *arguments, **keywords)
            return HalfWritten(found) if str(file).startswith(folder) and set(mode) & {"x", "w"} else found

        builtins.open = opened

    def _count_in(self, folder: str, name: str) -> None:
        original = getattr(os, name)

        def counted(path: Any, *arguments: Any, **keywords: Any) -> Any:
            is_counted = str(path).startswith(folder)
            what = f"{name} of {_kind(str(path))}"
            return (self.around(what, original) if is_counted else original)(path, *arguments, **keywords)

        setattr(os, name, counted)

    def count_changed_files(self, folder: str) -> None:
        """Count the files in a folder that are opened for writing, moved or removed, whatever does that in Python."""

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "open":
                path, _mode, flags = arguments
                is_change = bool(flags & (os.O_WRONLY | os.O_RDWR))
                if is_change and str(path).startswith(folder):
                    self.reach("open for writing")
            elif event in ("os.rename", "os.remove", "os.mkdir") and str(arguments[0]).startswith(folder):
                self.reach(event)

        sys.addaudithook(audit)


def _name(statement: str) -> str:
    """The first word of a statement."""
    return statement.split(None, 1)[0].upper()


def _kind(path: str) -> str:
    """What a file in the folder of a load is; a temporary file has the name of the final one in its own."""
    if "/_manifests/" in path:
        return "check" if "_check" in path else "manifest"
    return "state" if "/_state/" in path else "data"
