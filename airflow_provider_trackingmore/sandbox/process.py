"""Starts a sandbox in a separate process. Uses the standard library only."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any, Self, cast

from .cli import DEFAULT_KEY, KEYS_VARIABLE
from .client import SandboxClient, SandboxError
from .limits import CACHED_JOURNEYS, DEFAULT_QUOTA

__all__ = ["SandboxClient", "SandboxError", "SandboxProcess"]

MAX_REQUESTS_PER_SECOND = 10_000.0
"""The maximum of ``requests_per_second`` in a connection, however fast the clock runs."""


class SandboxProcess(SandboxClient):
    """A sandbox in a separate process on the loopback interface, as a context manager.

    The sandbox exits when this process exits, at the latest.

    :param api_keys: one API key for each account.
    :param time_scale: clock seconds per real second.
    :param no_limits: disable the rate limits.
    :param seed: seed of all parcel journeys.
    :param quota: quota of each account in trackings.
    :param start: start of the clock as an ISO 8601 time; None means now.
    :param switches: switch positions other than the defaults.
    :param keep_answers: remember what was answered about each shipment, for ``answers()``.
    :param cached_journeys: of how many parcels of an account the journey is kept as JSON, 2 kB each.
    :param parcels: how many parcels the first account has at the start; a reset removes them.
    :param over_days: over how many days before the start they were registered.
    :param events: how many events a delivered one of them has at least.
    :param host: address to listen on.
    :param port: port; 0 picks a free one.
    :param pacing: the ``pacing`` extra of :attr:`connection`; None omits it.
    :param ready_timeout: real seconds to wait for the sandbox to become ready; each 1,000 parcels add one.
    """

    def __init__(
        self,
        *,
        api_keys: Sequence[str] = (DEFAULT_KEY,),
        time_scale: float = 1.0,
        no_limits: bool = False,
        seed: int = 0,
        quota: float = DEFAULT_QUOTA,
        start: str | None = None,
        switches: Mapping[str, str | bool | float] | None = None,
        keep_answers: bool = False,
        cached_journeys: int = CACHED_JOURNEYS,
        parcels: int = 0,
        over_days: float = 90,
        events: int = 10,
        host: str = "127.0.0.1",
        port: int = 0,
        pacing: str | None = None,
        ready_timeout: float = 60.0,
    ) -> None:
        super().__init__("")
        self.api_keys = tuple(api_keys)
        self.time_scale = time_scale
        self.no_limits = no_limits
        self.pacing = pacing
        self.ready_timeout = ready_timeout + parcels / 1_000
        self._arguments = ["--host", host, "--port", str(port), "--time-scale", repr(time_scale), "--seed", str(seed)]
        self._arguments += ["--quota", repr(quota), "--exit-with-parent"]
        self._arguments += ["--parcels", str(parcels), "--over-days", repr(over_days), "--events", str(events)]
        self._arguments += ["--cached-journeys", str(cached_journeys)]
        self._arguments += ["--keep-answers"] if keep_answers else []
        self._arguments += ["--no-limits"] if no_limits else []
        self._arguments += ["--start", start] if start else []
        for name, value in (switches or {}).items():
            self._arguments += ["--switch", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[str] | None = None

    @property
    def api_key(self) -> str:
        """The API key of the first account."""
        return self.api_keys[0]

    @property
    def pid(self) -> int | None:
        """The process id; None if the process is not running."""
        return self._process.pid if self._process else None

    @property
    def connection(self) -> dict[str, Any]:
        """An Airflow connection to the first account, with the request rate that the sandbox allows."""
        return self.connection_for(0)

    def connection_for(self, account: int) -> dict[str, Any]:
        """Build an Airflow connection.

        :param account: index of the account.
        :return: ``conn_type``, ``host``, ``password``, ``extra``, as in the JSON form of ``AIRFLOW_CONN_…``.
        """
        extra: dict[str, Any] = {
            "requests_per_second": 1_000.0 if self.no_limits else min(self.time_scale, MAX_REQUESTS_PER_SECOND),
            "cool_down_seconds": 120 / self.time_scale,
        }
        if self.pacing:
            extra["pacing"] = self.pacing
        return {
            "conn_type": "trackingmore",
            "host": self.base_url,
            "password": self.api_keys[account],
            "extra": extra,
        }

    def start(self) -> Self:
        """Start the sandbox and wait until it is ready.

        :return: this object.
        :raises SandboxError: the sandbox did not become ready.
        """
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - stays open as long as the process runs
        self._process = subprocess.Popen(
            [sys.executable, "-m", "airflow_provider_trackingmore.sandbox", *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,  # so that Ctrl-C reaches this process only, which stops the sandbox
            env=os.environ | {KEYS_VARIABLE: json.dumps(self.api_keys)},
        )
        lines: queue.Queue[str] = queue.Queue()
        pipe = cast("IO[str]", self._process.stdout)
        threading.Thread(target=lambda: lines.put(pipe.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=self.ready_timeout).strip()
        except queue.Empty:
            line = ""
        if not line:
            self._errors.seek(0)
            output = self._errors.read().strip()
            self.stop()
            raise SandboxError(output or f"the sandbox was not ready after {self.ready_timeout:g} s")
        self.base_url = line
        return self

    def stop(self) -> int | None:
        """Stop the sandbox.

        :return: its exit code; None if it was not running.
        """
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        try:
            code = process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        cast("IO[str]", process.stdout).close()
        if self._errors:
            self._errors.close()
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
