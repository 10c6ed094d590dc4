"""docs/command-line.md: each console block is typed into a shell, and its output is compared."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_trackingmore.cli.exit_codes import MEANINGS

from .conftest import ROOT, plain

PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
END = "~end~"


def steps() -> list[tuple[str, str]]:
    """What is typed, and what is shown."""
    typed = [part.partition("\n") for block in BLOCKS for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(command, shown) for command, _, shown in typed]


class Shell:
    """A shell whose programs are on a terminal."""

    def __init__(self, directory: Path) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 140, 0, 0))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TRACKINGMORE_")},
            "TERM": "xterm",
            "PYTHONPATH": str(ROOT),
            "TRACKINGMORE_PACING_DIR": str(directory),
            "PATH": os.pathsep.join((str(directory), str(Path(sys.executable).parent), os.environ["PATH"])),
        }
        self.process = subprocess.Popen(
            ["bash"], stdin=subprocess.PIPE, stdout=slave, stderr=slave, text=True, cwd=directory, env=environment
        )
        os.close(slave)

    def type(self, command: str, until: str = END) -> str:
        assert self.process.stdin is not None
        # The code of the command is still there for an "echo $?" that follows.
        end = "" if until != END else f"\n(code=$?; echo {END}; exit $code)"
        self.process.stdin.write(f"{command}{end}\n")
        self.process.stdin.flush()
        until = until.rstrip("\n") + "\r\n"  # as a terminal ends a line
        shown, patience = b"", time.monotonic() + 300
        while until.encode() not in shown:
            assert select.select([self.master], [], [], max(0.0, patience - time.monotonic()))[0], shown
            shown += os.read(self.master, 65536)
        return plain(shown.decode().replace("\r\n", "\n")).replace(f"{END}\n", "")

    def close(self) -> None:
        self.type("kill $! && wait $!")
        self.process.communicate("exit\n", timeout=300)
        os.close(self.master)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    (orders,) = (shown for command, shown in steps() if command == "cat orders.csv")
    (tmp_path / "orders.csv").write_text(orders)
    script = tmp_path / "trackingmore-airflow"  # what an installation makes of the entry point
    script.write_text(
        f"#!{sys.executable}\n"
        "import sys\nfrom airflow_provider_trackingmore.cli.program import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    opened = Shell(tmp_path)
    yield opened
    opened.close()


def expected(shown: str) -> re.Pattern[str]:
    """``...`` stands for anything, blanks at the end of a line for nothing."""
    lines = (r".*".join(map(re.escape, line.rstrip().split("..."))) for line in shown.rstrip("\n").split("\n"))
    pattern = r"[ ]*\n".join("(.*\n)*?.*" if line == ".*" else line for line in lines)
    return re.compile(pattern + r"[ ]*\n?")


@pytest.mark.slow
def test_the_page_shows_what_a_terminal_shows(shell: Shell) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for command, shown in steps():
        typed = command.replace("8700", port)
        seen = shell.type(typed, until="/v2\n" if command.endswith("&") else END)
        assert expected(shown.replace("8700", port)).fullmatch(seen), f"$ {typed}\n{seen}\nbut the page has\n{shown}"


def test_the_page_has_every_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)
    assert [(code, meaning.replace("`", "")) for code, meaning in rows] == [
        (str(code.value), meaning) for code, meaning in MEANINGS.items()
    ]
