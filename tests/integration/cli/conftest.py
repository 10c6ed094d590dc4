"""The real program, as a process of its own, in a pipe or on a terminal, against the sandbox."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

PROGRAM = (sys.executable, "-m", "airflow_provider_trackingmore")
ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Ended:
    """A program that has ended.

    :param code: its exit code.
    :param out: standard output.
    :param err: standard error.
    """

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


class Program:
    """Runs the program, and checks that it never shows a key."""

    def __init__(self, sandbox: SandboxProcess, directory: Path) -> None:
        self.directory = directory
        self.keys = list(sandbox.api_keys)
        # A terminal reports its own size; the environment of the tests may say something else.
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        # Each test has its own rate limit: otherwise it would wait for the test before.
        self.environment = {
            **inherited,
            "TRACKINGMORE_API_KEY": sandbox.api_key,
            "TRACKINGMORE_BASE_URL": sandbox.base_url,
            "TRACKINGMORE_PACING_DIR": str(directory),
            "PYTHONPATH": str(ROOT),
        }

    def __call__(
        self, *arguments: str, stdin: bytes = b"", program: Sequence[str] = PROGRAM, **environment: str | None
    ) -> Ended:
        result = subprocess.run(
            [*program, *arguments],
            input=stdin,
            capture_output=True,
            env=self.environment_with(environment),
            cwd=self.directory,
            timeout=300,
        )
        return self.ended(result.returncode, result.stdout.decode(), result.stderr.decode())

    def on_terminal(
        self,
        *arguments: str,
        columns: int = 100,
        to_file: Path | None = None,
        program: Sequence[str] = PROGRAM,
        **environment: str | None,
    ) -> Ended:
        """Both streams on one terminal, or standard output in a file; all that the terminal gets is ``err``."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
        with open(to_file or os.devnull, "wb") as file:
            process = subprocess.Popen(
                [*program, *arguments],
                stdin=slave,
                stdout=file if to_file else slave,
                stderr=slave,
                env=self.environment_with({"TERM": "xterm-256color", **environment}),
                cwd=self.directory,
            )
            os.close(slave)
            shown = b""
            while select.select([master], [], [], 300)[0]:
                try:
                    shown += os.read(master, 65536)
                except OSError:  # the program has closed the terminal
                    break
            os.close(master)
            code = process.wait(300)
        out = to_file.read_text() if to_file else ""
        return self.ended(code, out, shown.decode().replace("\r\n", "\n"))

    def environment_with(self, changes: Mapping[str, str | None]) -> dict[str, str]:
        return {name: value for name, value in {**self.environment, **changes}.items() if value is not None}

    def ended(self, code: int, out: str, err: str) -> Ended:
        assert not [key for key in self.keys if key in out + err], "a key was shown"
        return Ended(code, out, err)


def plain(text: str) -> str:
    """What a terminal shows, without its colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.fixture
def program(trackingmore_sandbox: SandboxProcess, tmp_path: Path) -> Program:
    return Program(trackingmore_sandbox, tmp_path)


@pytest.fixture
def connection(trackingmore_sandbox: SandboxProcess) -> dict[str, Any]:
    """An Airflow connection to the sandbox that gives up soon."""
    found = trackingmore_sandbox.connection
    return {**found, "extra": {**found["extra"], "max_attempts": 2}}
