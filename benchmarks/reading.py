"""Turn a page of 2,000 rows into ``Tracking``, compared with ``json.loads`` on the same bytes.

Run from the checkout: ``python -m benchmarks.reading``. Both take turns; processor time, so that other work on the
machine counts little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import requests

from airflow_provider_trackingmore.api.endpoints import list_page
from airflow_provider_trackingmore.api.envelope import parse_response
from airflow_provider_trackingmore.sandbox.process import SandboxProcess

ROWS = 2000


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--turns", type=int, default=40, help="how often each is measured")
    turns = parser.parse_args().turns
    body = fetch_page()
    request = list_page()
    json_times: list[float] = []
    parse_times: list[float] = []
    for _ in range(turns):
        json_times.append(processor_seconds(lambda: json.loads(body)))
        parse_times.append(processor_seconds(lambda: parse_response(request, 200, {}, body)))
    assert len(parse_response(request, 200, {}, body).items) == ROWS
    print(f"{ROWS} rows, {len(body) / 1e6:.1f} MB")
    print(f"json.loads         {1000 * statistics.median(json_times):5.0f} ms")
    print(f"read into Tracking {1000 * statistics.median(parse_times):5.0f} ms")
    ratios = [read / load for read, load in zip(parse_times, json_times, strict=True)]
    print(f"ratio of the pairs {statistics.median(ratios):5.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


def fetch_page() -> bytes:
    """Fetch a page of shipments of all ages from a sandbox."""
    with SandboxProcess(no_limits=True) as sandbox:
        sandbox.seed(ROWS, ages_days=(1, 30))
        headers = {"Trackingmore-Api-Key": sandbox.api_key}
        return requests.get(f"{sandbox.base_url}/trackings/get?limit={ROWS}", headers=headers, timeout=60).content


def processor_seconds(function: Callable[[], Any]) -> float:
    """Measure the processor time of one call; its result is dropped before the next call."""
    began = time.thread_time()
    function()
    return time.thread_time() - began


if __name__ == "__main__":
    main()
