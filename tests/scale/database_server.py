"""A database server in a temporary directory, on loopback, which runs for the length of a ``with`` block."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from demo.components import free_port


class DatabaseServer(ABC):
    """A server with one database, ``airflow``. It refuses to run as root, so it runs as ``nobody`` in that case."""

    name: ClassVar[str]
    ready_seconds: ClassVar[float]
    """How long it may take to start."""
    unavailable: ClassVar[type[Exception]]
    """The error of a connection while the server starts."""

    def __init__(self) -> None:
        self._port = free_port()
        self._password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix=f"{self.name.lower()}-"))
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

    def stop(self) -> None:
        """Stop the server, even if there are connections, and remove its files."""
        process, self._process = self._process, None
        if process is not None:
            self._end(process)
        shutil.rmtree(self._home, ignore_errors=True)

    @abstractmethod
    def _start(self) -> None:
        """Create the database, start the server, and wait until it is ready."""

    @abstractmethod
    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End the server process."""

    def _initialize(self, command: Sequence[str | Path], **identity: Any) -> None:
        """Run the program that creates the files of the server.

        :param identity: the user to run it as, as for ``subprocess``.
        """
        done = subprocess.run(
            command,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **identity,
        )
        assert done.returncode == 0, f"{Path(command[0]).name} failed:\n{done.stdout}"

    def _launch(self, command: Sequence[str | Path], connect: Callable[[], object], **identity: Any) -> None:
        """Start the server process, and wait until it is ready.

        :param connect: raises ``unavailable`` while it is not.
        :param identity: the user to run it as, as for ``subprocess``.
        """
        with (self._home / "log").open("wb") as log:
            self._process = process = subprocess.Popen(
                command,
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C does not reach it: Airflow is ended first
                **identity,
            )
        until = time.monotonic() + self.ready_seconds
        while True:
            try:
                connect()
            except self.unavailable:
                output = (self._home / "log").read_text(errors="replace")[-2000:]
                assert process.poll() is None, f"{self.name} has ended:\n{output}"
                assert time.monotonic() < until, f"{self.name} is not ready after {self.ready_seconds:.0f} s:\n{output}"
                time.sleep(0.1)
            else:
                return
