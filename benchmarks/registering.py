"""Register 4,000 shipments: the hook's batches compared with a POST for each and a sleep of a second in between.

Run from the checkout: ``python -m benchmarks.registering``. The sandbox counts; its limits are on, with no tolerance.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from typing import Any

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

CEILING_PER_SECOND = 40
"""One batch of 40 a second, as documented."""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--shipments", type=int, default=4000)
    parser.add_argument("--time-scale", type=float, default=4.0, help="clock seconds in a real second, for the batches")
    parser.add_argument("--naive-shipments", type=int, default=100, help="how many the baseline registers")
    parser.add_argument("--naive-time-scale", type=float, default=4.0, help="the same clock for the baseline")
    options = parser.parse_args()
    print_row("how", "registered", "calls", "429s", "clock time", "a second", "of the ceiling")
    print_row("ours", *register_with_hook(options.shipments, options.time_scale))
    print_row("one by one", *register_one_by_one(options.naive_shipments, options.naive_time_scale))


def print_row(*cells: str) -> None:
    """Print one line of the table."""
    print("".join(f"{cell:<14}" for cell in cells), flush=True)


def shipments(count: int) -> list[dict[str, Any]]:
    """Create shipments that stay in transit."""
    return [{"tracking_number": f"SBX-STUCK-{serial:05d}", "carrier_code": "usps"} for serial in range(count)]


def register_with_hook(count: int, scale: float) -> tuple[str, ...]:
    """Register with the hook, as ``CreateTrackingsOperator`` does."""
    with tempfile.TemporaryDirectory() as directory, SandboxProcess(time_scale=scale) as sandbox:
        os.environ["TRACKINGMORE_PACING_DIR"] = directory
        os.environ["AIRFLOW_CONN_TRACKINGMORE_DEFAULT"] = json.dumps(sandbox.connection)
        from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

        with TrackingMoreHook() as hook:
            began = time.monotonic()
            report = hook.create_trackings(shipments(count))
            elapsed = (time.monotonic() - began) * scale
        assert len(report.created) == count
        return summarize_ledger(sandbox, elapsed)


def register_one_by_one(count: int, scale: float) -> tuple[str, ...]:
    """Register as many programs do: POST one, check the code, sleep for a second."""
    import requests

    with SandboxProcess(time_scale=scale) as sandbox, requests.Session() as session:
        session.trust_env = False
        session.headers["Trackingmore-Api-Key"] = sandbox.api_key
        began = time.monotonic()
        for shipment in shipments(count):
            while session.post(f"{sandbox.base_url}/trackings/post", json=shipment).json()["meta"]["code"] == 429:
                time.sleep(120 / scale)
            time.sleep(1 / scale)
        return summarize_ledger(sandbox, (time.monotonic() - began) * scale)


def summarize_ledger(sandbox: SandboxProcess, elapsed: float) -> tuple[str, ...]:
    """Read the cells of a row from the ledger.

    :param elapsed: seconds of the clock.
    """
    ledger = sandbox.ledger()
    registered = len(ledger["created"])
    rate = registered / elapsed
    share = f"{rate / CEILING_PER_SECOND:.1%}"
    return (
        str(registered),
        str(ledger["requests"]),
        str(ledger["rate_limited"]),
        f"{elapsed:.0f} s",
        f"{rate:.2f}",
        share,
    )


if __name__ == "__main__":
    main()
