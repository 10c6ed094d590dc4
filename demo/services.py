"""The tracking service that the demo uses: the sandbox, or the real service if the user agrees."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from airflow_provider_trackingmore.client.settings import MAX_REQUESTS_PER_SECOND
from airflow_provider_trackingmore.sandbox.process import SandboxProcess

DAG_ID = "order_closing"
DAY = 86_400
SECONDS_PER_DAY = 3.0
"""Real seconds that a day of the sandbox takes."""
HEAD_START = timedelta(days=30)
"""How far in the past the sandbox's clock starts: longer than any journey, so that no delivery is in the future."""
SANDBOX_POLL_INTERVAL, SANDBOX_TIMEOUT = 2.0, 60.0
REAL_POLL_INTERVAL, REAL_TIMEOUT = 30.0, 90.0
DAG_ACCOUNT, NAIVE_ACCOUNT = 0, 1


@dataclass(frozen=True, slots=True)
class Service:
    """Where the parcels are tracked.

    :param connection: the Airflow connection ``trackingmore_default``, as in the JSON of Airflow's REST API.
    :param poll_interval: seconds between two polls.
    :param timeout: seconds after which an order is left open.
    """

    connection: dict[str, str]
    poll_interval: float
    timeout: float


@dataclass(frozen=True, slots=True)
class Sandbox(Service):
    """A running sandbox. Its clock is frozen until :meth:`start_clock`.

    :param process: the sandbox.
    :param started_at: its frozen clock, in Unix seconds.
    """

    process: SandboxProcess
    started_at: float

    def start_clock(self) -> None:
        """Let the clock run."""
        self.process.freeze(False)

    def stop_clock(self) -> None:
        """Freeze the clock."""
        self.process.freeze()

    def day(self) -> float:
        """Return how many days of the sandbox have passed."""
        return float(self.process.clock()["unix"] - self.started_at) / DAY


def real_service(console: Console, parcels: int, own_orders: bool) -> Service | None:
    """Offer the real service if there is an API key for it.

    :param console: where to ask.
    :param parcels: how many parcels there are.
    :param own_orders: whether the orders are the user's own.
    :return: the real service; None to use the sandbox.
    """
    key = os.environ.get("TRACKINGMORE_API_KEY", "").strip()
    if not key:
        return None
    if not (sys.stdin.isatty() and console.is_terminal):
        console.print("TRACKINGMORE_API_KEY is ignored: without a terminal the demo always uses the sandbox.")
        return None
    console.print("TRACKINGMORE_API_KEY is set: the same DAG can run against the real service.")
    if not own_orders:
        console.print("It would register the invented numbers of example_dags/orders.csv.")
        console.print("To use your own: make demo ORDERS=my-orders.csv")
    console.print(f"It spends up to {parcels} units of quota: 1 for each parcel that is not registered yet.")
    answer = ""
    with contextlib.suppress(EOFError):
        answer = console.input("Use the real service? (y/N) ", markup=False)
    if answer.strip().lower() not in ("y", "yes"):
        console.print("Using the sandbox.")
        return None
    connection = {"conn_type": "trackingmore", "password": key}
    if host := os.environ.get("TRACKINGMORE_BASE_URL"):
        connection["host"] = host
    return Service(connection, REAL_POLL_INTERVAL, REAL_TIMEOUT)


@contextlib.contextmanager
def sandbox_service() -> Iterator[Sandbox]:
    """Start a sandbox with one account for the DAG and one for the poller that the DAG is compared with.

    :return: the sandbox, while the block runs.
    """
    keys = [secrets.token_hex(16) for _ in (DAG_ACCOUNT, NAIVE_ACCOUNT)]
    with SandboxProcess(api_keys=keys, time_scale=DAY / SECONDS_PER_DAY) as process:
        process.reset(start=(datetime.now(UTC) - HEAD_START).isoformat())
        clock = process.freeze()
        connection = process.connection_for(DAG_ACCOUNT)
        # The sandbox's rate limit scales with its clock, beyond what a connection may ask for.
        extra = connection["extra"] | {"requests_per_second": MAX_REQUESTS_PER_SECOND}
        yield Sandbox(
            connection | {"extra": json.dumps(extra)}, SANDBOX_POLL_INTERVAL, SANDBOX_TIMEOUT, process, clock["unix"]
        )


def airflow_connections(service: Service, database: Path) -> dict[str, dict[str, Any]]:
    """Return the connections of the DAG.

    :param service: where the parcels are tracked.
    :param database: the shop's database.
    :return: connection ID -> its fields, as in the JSON of Airflow's REST API.
    """
    return {
        "trackingmore_default": service.connection,
        "orders_db": {"conn_type": "sqlite", "host": str(database)},
    }


def dag_settings(service: Service, folder: Path) -> dict[str, str]:
    """Return the environment variables of the DAG.

    :param service: where the parcels are tracked.
    :param folder: for the files of the rate limit.
    :return: the variables.
    """
    settings = {
        "ORDER_CLOSING_POKE_INTERVAL": str(service.poll_interval),
        "ORDER_CLOSING_TIMEOUT": str(service.timeout),
    }
    if isinstance(service, Sandbox):  # at the real service the DAG shares the rate limit with everything else here
        (folder / "pacing").mkdir(mode=0o700)
        settings["TRACKINGMORE_PACING_DIR"] = str(folder / "pacing")
    return settings
