"""From a webhook to the end of the wait, on a real Airflow (3.1 or newer): ``python -m benchmarks.webhooks``.

Each wait would check again after half an hour. The sandbox, with its rate limit on, delivers one parcel after the other
and sends the webhook over a real socket. The time ends when Airflow's database says that the task has succeeded.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from demo.components import Airflow

DAG = "waiting_for_webhooks"
WAKE_PAUSE_SECONDS = 31.0
"""Without Redis, no webhook wakes a wait within half a minute after it was deferred."""
LONGEST = 120.0


def measure(pacing: str, waits: int, pause: float) -> tuple[list[float], int]:
    """Deliver one parcel after the other.

    :param pacing: where the rate limit is kept.
    :param waits: how many waits there are.
    :param pause: seconds between two deliveries.
    :return: the seconds from each delivery to the end of its wait; and how many calls they took.
    """
    from benchmarks.dags.waiting_for_webhooks import parcel  # brings Airflow along

    secret = secrets.token_urlsafe(24)
    with (
        tempfile.TemporaryDirectory() as directory,
        SandboxProcess() as sandbox,
        (home := Path(directory, "airflow")).with_suffix(".log").open("w", encoding="utf-8") as log,
        Airflow(home, log, _settings(sandbox, pacing, secret, waits, home)) as airflow,
    ):
        sandbox.seed(shipments=[parcel(number) for number in range(waits)])
        airflow.wait_for_dag(DAG, 300)
        airflow.call("POST", f"dags/{DAG}/dagRuns", {"logical_date": None})
        tasks = _Tasks(home / "airflow.db")
        tasks.wait_until(lambda: list(tasks.states().values()).count("deferred") == waits, 300)
        time.sleep(WAKE_PAUSE_SECONDS)
        sandbox.set_webhook(f"{airflow.url}/trackingmore/webhooks/trackingmore_default/{secret}")
        mark = sandbox.last_serial()
        seconds = []
        for number in range(waits):
            key = parcel(number)
            began = time.monotonic()
            sandbox.add_event(key["carrier_code"], key["tracking_number"], "Delivered", status="delivered")
            tasks.wait_until(lambda: tasks.states()[f"wait_{number}"] == "success", LONGEST)  # noqa: B023
            seconds.append(time.monotonic() - began)
            time.sleep(pause)
        calls = [call for call in sandbox.calls(since=mark) if call["path"] != "/trackings/getuserinfo"]
        return seconds, len(calls)


class _Tasks:
    """The tasks of the only run.

    :param database: Airflow's, SQLite's kind.
    """

    def __init__(self, database: Path) -> None:
        self._database = database

    def states(self) -> dict[str, str | None]:
        """Return the state of each."""
        with closing(sqlite3.connect(self._database, timeout=60)) as database:
            return dict(database.execute("SELECT task_id, state FROM task_instance WHERE dag_id = ?", (DAG,)))

    def wait_until(self, condition: Callable[[], Any], within: float) -> None:
        """Wait until a condition is true."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"tasks: {self.states()}")
            time.sleep(0.02)


def _settings(sandbox: SandboxProcess, pacing: str, secret: str, waits: int, home: Path) -> dict[str, str]:
    connection = sandbox.connection
    connection["extra"] |= {
        "pacing": pacing,
        "webhook_secret": secret,
        "webhook_email": "account-0@sandbox.example",
    }
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
        "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(connection),
        "TRACKINGMORE_PACING_DIR": str(home.parent / "pace"),
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "WEBHOOK_WAITS": str(waits),
    }


def main() -> None:
    """Print a row for each place of the rate limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pacing", nargs="+", default=["file"], help="file, or redis://... of an empty server")
    parser.add_argument("--waits", type=int, default=20, help="how many waits")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between two deliveries")
    arguments = parser.parse_args()
    for pacing in arguments.pacing:
        seconds, calls = measure(pacing, arguments.waits, arguments.pause)
        p95 = statistics.quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
        print(
            f"{pacing.partition(':')[0]:6}  {len(seconds):3} waits  p50 {statistics.median(seconds):.1f} s  "
            f"p95 {p95:.1f} s  longest {max(seconds):.1f} s  {calls} calls",
            flush=True,
        )


if __name__ == "__main__":
    main()
