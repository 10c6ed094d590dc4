"""A MariaDB server in a temporary directory, on loopback; ends with the ``with`` block.

The package index has no such server: it is the machine's own, on Debian that of the packages mariadb-server-core and
mariadb-client-core. Its configuration files are not read. MariaDB refuses to be root; here it is ``nobody`` then.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pymysql

from demo.components import free_port

READY_SECONDS = 120.0
SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
"""Debian keeps servers where the PATH of most users does not lead."""


def find_server() -> Path | None:
    """Find a MariaDB server, and what its installation script needs.

    :return: its path; None when one of the two is not on this machine.
    """
    found = shutil.which("mariadbd", path=SEARCHED)
    return Path(found).resolve() if found and shutil.which("my_print_defaults", path=SEARCHED) else None


class MariaDB:
    """A server with one database, ``airflow``, and the defaults of MariaDB where nothing else is said.

    :param server: where :func:`find_server` found it.
    """

    def __init__(self, server: Path) -> None:
        self._server = server
        self._port = free_port()
        self._password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """User, password, host and database, as SQLAlchemy takes it after ``mysql+pymysql``."""
        return f"://airflow:{self._password}@127.0.0.1:{self._port}/airflow?charset=utf8mb4"

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="mariadb-"))
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
        data, begin = self._home / "data", self._home / "begin.sql"
        data.mkdir()
        begin.write_text(
            "CREATE DATABASE airflow CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;\n"
            f"CREATE USER airflow@'127.0.0.1' IDENTIFIED BY '{self._password}';\n"
            "GRANT ALL ON *.* TO airflow@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        identity: list[str] = []
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            identity = [f"--user={nobody.pw_name}"]
            for path in (self._home, data, begin):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        base = self._server.parent.parent
        made = subprocess.run(
            [
                *(base / "bin" / "mariadb-install-db", "--no-defaults", f"--basedir={base}", f"--datadir={data}"),
                *("--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", *identity),
            ],
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert made.returncode == 0, f"mariadb-install-db failed:\n{made.stdout}"
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(self._server, "--no-defaults", f"--basedir={base}", f"--datadir={data}", *identity),
                    *("--bind-address=127.0.0.1", f"--port={self._port}", f"--socket={self._home / 'socket'}"),
                    *(f"--init-file={begin}", "--skip-name-resolve", "--explicit-defaults-for-timestamp=ON"),
                    # It need not survive the machine.
                    *("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF"),
                ],
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone; Airflow is ended first
            )
        self._wait_until_ready(self._process)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.rows("SELECT 1")
            except pymysql.OperationalError:
                output = (self._home / "log").read_text(errors="replace")[-2000:]
                assert process.poll() is None, f"MariaDB has ended:\n{output}"
                assert time.monotonic() < until, f"MariaDB is not ready after {READY_SECONDS:.0f} s:\n{output}"
                time.sleep(0.1)
            else:
                return

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction of its own.

        :param query: the statement.
        :return: what it returns.
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

    def stop(self) -> None:
        """End the server, whoever is still connected, and remove its files."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()
            process.wait()
        shutil.rmtree(self._home, ignore_errors=True)
