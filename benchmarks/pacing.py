"""Eight processes with one key register and poll as fast as allowed: our rate limiter and pacing by departure.

Run from the checkout: ``python -m benchmarks.pacing``. Starts the sandbox with its limits on and no tolerance, over a
real socket; then repeats every setting for an hour of a simulated clock. Needs the ``sandbox`` extra.
"""

from __future__ import annotations

import argparse
import fcntl
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from benchmarks.pacing_simulated import TravelTime, share_departures, share_slot_clock, simulate

SETTINGS: dict[str, tuple[float, float] | None] = {
    "no delay": None,
    "100 ms": (100, 100),
    "0-150 ms": (0, 150),
}
"""Delay of each request on its way, in milliseconds of the server's clock."""


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--time-scale", type=float, default=4.0, help="clock seconds in a real second")
    parser.add_argument("--seconds", type=float, default=240.0, help="clock seconds of each run over the socket")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--pacing", default="file", help="file, or redis://...")
    parser.add_argument("--only", choices=("ours", "departure"))
    parser.add_argument("--setting", choices=list(SETTINGS), action="append")
    options = parser.parse_args()
    speed = f"{options.seconds:g} s of a clock {options.time_scale:g} times as fast"
    print(f"Over a socket: {options.processes} processes, {speed}")
    print_row("delay", "pacing", "slots used", "second half", "429s", "smallest gap")
    for name in options.setting or SETTINGS:
        for side in [options.only] if options.only else ("ours", "departure"):
            print_row(name, side, *run_over_socket(side, SETTINGS[name], options))
    print("\nAn hour of a simulated clock")
    print_row("delay", "pacing", "slots used", "", "429s", "smallest gap")
    random.seed(1)
    for name in options.setting or SETTINGS:
        outbound = travel_time(SETTINGS[name])
        for side, limiters in (("ours", share_slot_clock), ("departure", share_departures)):
            outcome = simulate(limiters, outbound, lambda: random.uniform(0.001, 0.002), callers=options.processes)
            print_row(name, side, f"{outcome.used:.1%}", "", str(outcome.refused), f"{outcome.smallest_gap:.3f} s")


def travel_time(delay: tuple[float, float] | None) -> TravelTime:
    """Draw how long a request travels, including up to two milliseconds that this machine needs."""
    low, high = delay or (0.0, 0.0)
    return lambda: random.uniform(low, high) / 1000 + random.uniform(0.001, 0.002)


def print_row(*cells: str) -> None:
    """Print one line of a table."""
    print("".join(f"{cell:<14}" for cell in cells), flush=True)


def run_over_socket(side: str, delay: tuple[float, float] | None, options: argparse.Namespace) -> tuple[str, ...]:
    """Let the processes run, and read from the sandbox's ledger what arrived.

    :return: share of the slots used, in all and in the second half; 429s; the smallest gap between arrivals.
    """
    with SandboxProcess(time_scale=options.time_scale, switches={"rate_tolerance": 0}) as sandbox:
        if delay:
            low, high = (milliseconds / options.time_scale for milliseconds in delay)
            sandbox.fault("latency", count=None, min_ms=low, max_ms=high)
        with tempfile.TemporaryDirectory() as directory:
            end = time.time() + 4 + options.seconds / options.time_scale
            task = {
                "side": side,
                "url": sandbox.base_url,
                "key": sandbox.api_key,
                "scale": options.time_scale,
                "pacing": options.pacing,
                "directory": directory,
                "end": end,
            }
            started = [start_sender(task | {"number": number}) for number in range(options.processes)]
            for process in started:
                process.wait()
        clock = sandbox.clock()
        end_on_clock = clock["unix"] - (time.time() - end) * options.time_scale
        begin = end_on_clock - options.seconds
        entries = [entry for entry in sandbox.calls() if begin <= entry["clock_unix"] < end_on_clock]
    served = [entry["clock_unix"] for entry in entries if entry["code"] != 429]
    arrivals = sorted(entry["clock_unix"] for entry in entries)
    served_late = sum(time_of >= begin + options.seconds / 2 for time_of in served)
    gap = min((after - before for before, after in itertools.pairwise(arrivals)), default=0.0)
    return (
        f"{len(served) / options.seconds:.1%}",
        f"{served_late / (options.seconds / 2):.1%}",
        str(len(entries) - len(served)),
        f"{gap:.3f} s",
    )


def start_sender(task: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start a process that sends until the end of the run."""
    return subprocess.Popen(
        [sys.executable, "-c", "import benchmarks.pacing; benchmarks.pacing.send_until_end()", json.dumps(task)],
        env=os.environ | {"TRACKINGMORE_PACING_DIR": task["directory"], "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def send_until_end() -> None:
    """Register and poll in turn until the end, as fast as the pace allows."""
    task = json.loads(sys.argv[1])
    send = create_package_sender(task) if task["side"] == "ours" else create_departure_sender(task)
    numbers = (f"SBX-STUCK-{task['number']}-{serial}" for serial in itertools.count())
    while time.time() < task["end"]:
        send([{"tracking_number": next(numbers), "carrier_code": "usps"} for _ in range(40)])


def create_package_sender(task: dict[str, Any]) -> Any:
    """Send through this package's client."""
    from airflow_provider_trackingmore.api import endpoints
    from airflow_provider_trackingmore.api.envelope import Request
    from airflow_provider_trackingmore.api.errors import TrackingMoreError
    from airflow_provider_trackingmore.client.client import TrackingMoreClient
    from airflow_provider_trackingmore.client.settings import ClientSettings

    scale = task["scale"]
    client = TrackingMoreClient(
        ClientSettings(
            api_key=task["key"],
            base_url=task["url"],
            requests_per_second=scale,
            cool_down_seconds=120 / scale,
            pacing=task["pacing"],
        )
    )

    def send(shipments: list[dict[str, str]]) -> None:
        requests: list[Request[Any]] = [endpoints.create_batch(shipments), endpoints.list_page(limit=40)]
        for request in requests:
            try:
                client.send(request, max_wait_seconds=max(0.0, task["end"] - time.time()))
            except TrackingMoreError:
                return

    return send


def create_departure_sender(task: dict[str, Any]) -> Any:
    """Send with plain requests; a locked file says when the last request left, and until when nobody may send."""
    import requests

    session = requests.Session()
    session.trust_env = False
    session.headers["Trackingmore-Api-Key"] = task["key"]
    interval = 1 / task["scale"]
    path = Path(task["directory"], "next")
    path.touch()

    def slot(cool_down: float = 0.0) -> float:
        """Take the slot, or return how long to wait for it; with a cool-down, block everybody instead."""
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            now, free = time.time(), float(file.read() or 0)
            if free > now and not cool_down:
                return free - now
            file.seek(0)
            file.write(repr(max(free, now + (cool_down or interval))).ljust(30))
            return 0.0

    def send(shipments: list[dict[str, str]]) -> None:
        for method, path_, body in (("POST", "/trackings/batch", shipments), ("GET", "/trackings/get?limit=40", None)):
            while (wait := slot()) > 0:
                if time.time() + wait > task["end"]:
                    time.sleep(max(0.0, task["end"] - time.time()))
                    return
                time.sleep(wait)
            if session.request(method, task["url"] + path_, json=body).json()["meta"]["code"] == 429:
                slot(cool_down=120 * interval)

    return send


if __name__ == "__main__":
    main()
