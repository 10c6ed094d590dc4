"""A MariaDB server for tests. The package index has none, so the server of this machine is used.

On Debian it is in the packages mariadb-server-core and mariadb-client-core. Its configuration files are not read.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql

from tests.scale.database_server import DatabaseServer

SERVER_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
"""Debian installs servers where the PATH of most users does not lead."""


def find_server() -> Path | None:
    """Find a MariaDB server, and what its installation script needs.

    :return: its path; None if one of the two is not on this machine.
    """
    found = shutil.which("mariadbd", path=SERVER_PATH)
    return Path(found).resolve() if found and shutil.which("my_print_defaults", path=SERVER_PATH) else None


class MariaDB(DatabaseServer):
    """A MariaDB server with its default settings, apart from the ones below.

    :param server: its path, from :func:`find_server`.
    """

    name = "MariaDB"
    ready_seconds = 120.0
    unavailable = pymysql.OperationalError

    def __init__(self, server: Path) -> None:
        super().__init__()
        self._server = server

    @property
    def address(self) -> str:
        """User, password, host and database, as SQLAlchemy takes it after ``mysql+pymysql``."""
        return f"://airflow:{self._password}@127.0.0.1:{self._port}/airflow?charset=utf8mb4"

    def _start(self) -> None:
        data, init_file, temporary = self._home / "data", self._home / "init.sql", self._home / "tmp"
        data.mkdir()
        temporary.mkdir()
        init_file.write_text(
            "CREATE DATABASE airflow CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;\n"
            f"CREATE USER airflow@'127.0.0.1' IDENTIFIED BY '{self._password}';\n"
            "GRANT ALL ON *.* TO airflow@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        user: list[str] = []
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            user = [f"--user={nobody.pw_name}"]
            for path in (self._home, data, init_file, temporary):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        base = self._server.parent.parent
        # A server that starts removes the temporary tables of all others in the same directory.
        folders = [f"--basedir={base}", f"--datadir={data}", f"--tmpdir={temporary}"]
        self._initialize(
            [
                *(base / "bin" / "mariadb-install-db", "--no-defaults", *folders),
                *("--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", *user),
            ]
        )
        self._launch(
            [
                *(self._server, "--no-defaults", *folders, *user),
                *("--bind-address=127.0.0.1", f"--port={self._port}", f"--socket={self._home / 'socket'}"),
                *(f"--init-file={init_file}", "--skip-name-resolve", "--explicit-defaults-for-timestamp=ON"),
                # It need not survive the machine.
                *("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF"),
            ],
            lambda: self.rows("SELECT 1"),
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Run a statement in its own transaction.

        :param query: the statement.
        :return: the rows that it returns.
        """
        with (
            closing(
                pymysql.connect(
                    host="127.0.0.1",
                    port=self._port,
                    user="airflow",
                    password=self._password,
                    database="airflow",
                    autocommit=True,
                    connect_timeout=10,
                )
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(query)
            return list(cursor.fetchall())

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()
        process.wait()
