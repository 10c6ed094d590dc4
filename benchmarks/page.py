"""How long the page "Shipments" takes in the API server: ``python -m benchmarks.page --waits 10000``.

It fills a new SQLite database with deferred waits, and asks Airflow's own API server in this process for them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

SHIPMENTS = 3
DAGS = 50
REQUESTS = 20
QUERIES: dict[str, dict[str, str | int]] = {
    "first page": {},
    "a tracking number": {"search": "NUMBER-004242"},
    "an order": {"search": "order-7777"},
    "a DAG, by deadline": {"search": "dag-07", "sort": "deadline"},
    "last page, by shipments": {"sort": "shipments", "offset": 9_900},
    "500 rows": {"limit": 500},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waits", type=int, default=10_000)
    waits = parser.parse_args().waits
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        os.environ |= {"AIRFLOW__API_AUTH__JWT_SECRET": "x" * 64, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
        for code in ("airflow.__main__ import main; main()", f"benchmarks.page import fill; fill({waits})"):
            # In processes of their own, whose memory the server does not have.
            subprocess.run([sys.executable, "-c", f"from {code}", "db", "migrate"], check=True, capture_output=True)
        print(report(measure(waits)))


def fill(waits: int) -> None:
    """Insert deferred waits, for one order each."""
    from benchmarks import deferred_rows

    rows = [
        deferred_rows.Row(
            f"dag-{number % DAGS:02}",
            map_index=number // DAGS,
            wait={
                "orders": {
                    f"order-{number}": [
                        {"carrier_code": "usps", "tracking_number": f"NUMBER-{number * SHIPMENTS + position:06}"}
                        for position in range(SHIPMENTS)
                    ]
                },
                "deadline": time.time() + number,
            },
        )
        for number in range(waits)
    ]
    deferred_rows.insert(rows)


def measure(waits: int) -> dict[str, list[float]]:
    """Return the seconds of each request, by what is asked for."""
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from starlette.testclient import TestClient

    found: dict[str, list[float]] = {}
    with TestClient(create_app("core")) as client:
        token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="viewer", role="viewer"))

        def ask(**query: Any) -> tuple[float, Any]:
            began = time.perf_counter()
            answer = client.get(
                "/trackingmore/page/api/waits", params=query, headers={"Authorization": f"Bearer {token}"}
            )
            return time.perf_counter() - began, answer

        ask()  # builds the page, and begins to read the waits
        began = time.perf_counter()
        while ask()[1].status_code == 503:
            time.sleep(0.05)
        found["index filled"] = [time.perf_counter() - began]
        for name, query in QUERIES.items():
            answers = [ask(**query) for _ in range(REQUESTS)]
            assert all(answer.status_code == 200 and answer.json()["all"] == waits for _, answer in answers)
            found[name] = [seconds for seconds, _ in answers]
    return found


def report(found: dict[str, list[float]]) -> str:
    """Return a table of medians and maxima in milliseconds."""
    lines = [f"{'':28}{'median':>10}{'longest':>10}"]
    lines += [
        f"{name:28}{statistics.median(seconds) * 1_000:>7.0f} ms{max(seconds) * 1_000:>7.0f} ms"
        for name, seconds in found.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
