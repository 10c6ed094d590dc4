"""Load an account into databases and files: this package, ``insert_rows`` of Airflow's hooks, and dlt.

Run from the checkout: ``python -m benchmarks.loading``. The sides load the same records, which were read from the
sandbox before, so that its time does not count; then the operators load from the sandbox itself. A last part counts API
calls. It needs ``make .venv/.test``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from benchmarks import loading_calls
from benchmarks.loading_pages import save_pages
from benchmarks.loading_sides import Measured, Target, run_side

KINDS = ("postgres", "sqlite", "duckdb", "parquet")
SIDES = ("ours", "insert_rows", "dlt")
PARTS = ("write", "end-to-end", "calls")
WITHOUT_INSERT_ROWS = ("duckdb", "parquet")
_numbers = count(1)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--shipments", type=int, default=10_000, help="shipments, with ten events each")
    parser.add_argument("--targets", default=",".join(KINDS), help="which targets, separated by commas")
    parser.add_argument("--sides", default=",".join(SIDES), help="which sides, separated by commas")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts, separated by commas")
    options = parser.parse_args()
    kinds, sides, parts = (value.split(",") for value in (options.targets, options.sides, options.parts))
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("AIRFLOW_HOME", folder)
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        if {"write", "end-to-end"}.intersection(parts):
            compare(options.shipments, kinds, sides, parts, Path(folder))
        if "calls" in parts:
            loading_calls.report(loading_calls.count_calls(options.shipments))


def compare(shipments: int, kinds: Sequence[str], sides: Sequence[str], parts: Sequence[str], folder: Path) -> None:
    """Print times and memory.

    :param shipments: the size of the account.
    :param kinds: the targets.
    :param sides: the sides.
    :param parts: what to measure.
    :param folder: a temporary folder.
    """
    with SandboxProcess(parcels=shipments, no_limits=True, cached_journeys=shipments) as sandbox:
        sandbox.freeze()
        size = f"{shipments:,} shipments"
        if "write" in parts:
            found, events = _save(sandbox.connection, folder, None)
            size = f"{found:,} shipments, {events:,} events"
        else:  # what is loaded before measuring
            _save(sandbox.connection, folder, 1)
        print(f"{size}, load average {os.getloadavg()[0]:.1f}", flush=True)
        _row("target", "side", "load", "seconds", "of our time", "processor", "memory", "events then")
        with ExitStack() as stack:
            server = stack.enter_context(_server()) if "postgres" in kinds else None
            if "write" in parts:
                for kind in kinds:
                    compared = [side for side in sides if side != "insert_rows" or kind not in WITHOUT_INSERT_ROWS]
                    _load_twice(_target(kind, server, folder, compared), folder / "pages", sandbox.connection)
            if "end-to-end" in parts:
                for kind in kinds:
                    _load_twice(_target(kind, server, folder, ["ours"]), None, sandbox.connection)


def _save(connection: dict[str, Any], folder: Path, limit: int | None) -> tuple[int, int]:
    os.environ["TRACKINGMORE_PACING_DIR"] = str(folder)
    os.environ["AIRFLOW_CONN_TRACKINGMORE_DEFAULT"] = json.dumps(connection)
    from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

    pages = folder / "pages"
    pages.mkdir()
    with TrackingMoreHook() as hook:
        return save_pages(islice(hook.list_trackings(), limit), pages)


def _load_twice(targets: dict[str, Target], pages: Path | None, connection: dict[str, Any]) -> None:
    """Each side loads into its empty target, then each of them again."""
    for is_first in (True, False):
        ours: Measured | None = None
        for side, target in targets.items():
            measured = run_side(side, target, pages, connection, is_first=is_first)
            ours = ours or measured
            cost = measured.cost
            _row(
                target.kind,
                side if pages else f"{side}, end to end",
                "new" if is_first else "unchanged",
                f"{cost.seconds:.1f} s",
                f"{cost.seconds / ours.cost.seconds:.1f} x",
                f"{cost.processor:.1f} s",
                f"{cost.memory:.0f} MB",
                f"{measured.events:,}",
            )


def _target(kind: str, server: Any, folder: Path, sides: Sequence[str]) -> dict[str, Target]:
    targets = {}
    for side in sides:
        own = folder / f"{kind}-{side}-{next(_numbers)}"
        own.mkdir()
        connection: dict[str, Any] = {}
        if kind == "postgres":
            name = own.name.replace("-", "_")
            for database in (name, f"{name}_scratch"):
                server.rows(f"CREATE DATABASE {database}")
            address = urlsplit(f"postgresql{server.address}")
            connection = {"conn_type": "postgres", "host": address.hostname, "port": address.port, "schema": name}
            connection |= {"login": address.username, "password": address.password}
        elif kind != "parquet":
            connection = {"conn_type": kind, "host": str(own / f"warehouse.{kind}")}
        targets[side] = Target(kind, own, connection)
    return targets


@contextmanager
def _server() -> Iterator[Any]:
    from tests.scale.postgres import Postgres

    with Postgres() as server:
        yield server


def _row(*cells: str) -> None:
    widths = (10, 20, 11, 9, 12, 11, 9, 12)
    print("".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip(), flush=True)


if __name__ == "__main__":
    main()
