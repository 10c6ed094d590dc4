"""Everything that a complete Airflow leaves behind: files, tables, arguments of processes, metrics."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import psutil


class Evidence:
    """All that a run leaves, as texts and where they were found."""

    def __init__(self, folder: Path, statsd: socket.socket) -> None:
        self.statsd = statsd
        self.folder = folder
        self.home = folder / "airflow"
        self.texts: dict[str, bytes] = {}
        self.processes: set[str] = set()

    def record_processes(self) -> None:
        """The arguments of everything that was started: components, workers, the sandbox."""
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                self.processes.add("\0".join(process.cmdline()))

    def take_metrics(self) -> None:
        """What was sent to the statsd server."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.texts["metrics"] = self.texts.get("metrics", b"") + self.statsd.recv(65536) + b"\n"

    def dump_database(self, when: str) -> None:
        """Each table as text: XCom, rendered templates, triggers, events on their way to a task, serialised DAGs."""
        with closing(sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True, timeout=30)) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                rows = database.execute(f'SELECT * FROM "{table}"').fetchall()
                self.texts[f"table {table} {when}"] = repr(rows).encode()

    def collect_files(self, when: str) -> None:
        """Each file with its name: logs, configuration, the database's own bytes, pacing, output of components."""
        for file in self.folder.rglob("*"):
            if file.is_file():
                place = file.relative_to(self.folder)
                self.texts[f"file {place} {when}"] = str(place).encode() + b"\n" + file.read_bytes()

    def holding(self, *wanted: str) -> list[str]:
        """Where any of these is found."""
        texts = self.texts | {"arguments of processes": "\n".join(self.processes).encode()}
        return sorted(place for place, text in texts.items() if any(phrase.encode() in text for phrase in wanted))
