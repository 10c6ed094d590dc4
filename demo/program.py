"""The main program of ``make demo`` and ``make standalone``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

import psutil
from rich.console import Console
from rich.table import Table

from airflow_provider_trackingmore.sandbox.process import SandboxError

from . import nightly, shop
from .components import DAGS, STARTUP_TIMEOUT, Airflow, AirflowError
from .display import Display, Snapshot, create_display
from .naive import NaivePoller, trackable
from .report import (
    INVENTED,
    call_table,
    lane_table,
    load_summary,
    next_steps,
    order_table,
    scorecard_table,
    summary,
)
from .services import (
    DAG_ACCOUNT,
    DAG_ID,
    HEAD_START,
    NAIVE_ACCOUNT,
    SECONDS_PER_DAY,
    Sandbox,
    Service,
    airflow_connections,
    dag_settings,
    real_service,
    sandbox_service,
)
from .standalone import run_standalone

ORDERS = DAGS / "orders.csv"
RUN_TIMEOUT = 900.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PLAIN_WIDTH = 110
"""Columns of the output where it does not go to a terminal."""


def run_program(arguments: Sequence[str]) -> int:
    """Run ``python -m demo [standalone] [--keep] [--picture FILE]``.

    :param arguments: the arguments of the command line.
    :return: 0; 1 after an error; 130 if it was interrupted.
    """
    parser = argparse.ArgumentParser(prog="python -m demo", description="Run the example DAG order_closing.")
    parser.add_argument(
        "mode", nargs="?", choices=("demo", "standalone"), default="demo", help="standalone: keep Airflow running"
    )
    parser.add_argument("--keep", action="store_true", help="keep the logs and databases, and print where they are")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="save the live display as an SVG picture")
    options = parser.parse_args(arguments)
    terminal = sys.stdout.isatty()  # rich would also go by FORCE_COLOR, and write control characters into a pipe
    console = Console(force_terminal=terminal, width=None if terminal else PLAIN_WIDTH)
    own_orders = bool(os.environ.get("ORDERS"))
    try:
        parcels, skipped = shop.read_parcels(Path(os.environ.get("ORDERS") or ORDERS))
    except shop.OrdersFileError as error:
        _print(console, str(error))
        return 1
    for text in skipped:
        _print(console, f"Skipped: {text}")
    for signal_number in SIGNALS:
        signal.signal(signal_number, _interrupt)
    folder = None
    code, last_words, keep = 0, "", bool(options.keep)
    try:
        folder = Path(tempfile.mkdtemp(prefix="trackingmore-demo-"))
        if options.mode == "standalone":
            run_standalone(parcels, console, folder)
        else:
            run_demo(parcels, own_orders, console, folder, options.picture)
    except KeyboardInterrupt:
        last_words = "Stopped."
        code = 0 if options.mode == "standalone" else 130
    except (AirflowError, SandboxError) as error:
        code, last_words, keep = 1, str(error), True
    finally:
        _ignore_signals()
        _kill_children()
        if folder and not keep:
            shutil.rmtree(folder, ignore_errors=True)
    if last_words:
        _print(console, last_words)
    if keep:
        _print(console, f"Logs and databases: {folder}")
    return code


def run_demo(
    parcels: list[shop.Parcel], own_orders: bool, console: Console, folder: Path, picture: Path | None = None
) -> None:
    """Close the orders, load the shipments twice, and report.

    :param parcels: the parcels of the orders file.
    :param own_orders: whether that is the user's own file.
    :param console: where to print.
    :param folder: an empty folder for all files.
    :param picture: where to save the live display as an SVG picture; None for nowhere.
    """
    database = folder / "orders.db"
    shop.make_database(database, parcels)
    with contextlib.ExitStack() as stack:
        service = real_service(console, len(parcels), own_orders)
        if service is None:
            service = stack.enter_context(sandbox_service())
            _print(console, f"{INVENTED} A day takes {SECONDS_PER_DAY:.0f} s.", wrap=True)
            if not own_orders:  # one parcel is registered before the DAG registers it
                service.process.seed(shipments=[trackable(parcels[0])], account=DAG_ACCOUNT)
        display = stack.enter_context(create_display(console, picture))
        log = stack.enter_context((folder / "demo.log").open("w", buffering=1, encoding="utf-8"))
        display.phase("Starting Airflow, which takes up to a minute")
        connections = airflow_connections(service, database)
        # In the environment, unlike in Airflow's database, they are not on the disk.
        variables = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()}
        airflow = Airflow(folder / "airflow", log, dag_settings(service, folder) | variables | nightly.SETTINGS)
        stack.enter_context(airflow)
        airflow.wait_for_dag(DAG_ID, STARTUP_TIMEOUT)
        naive = _naive_poller(service, parcels)
        follow_run(airflow, service, naive, database, display)
        if naive and naive.error:
            raise AirflowError(f"the poller that the DAG is compared with failed: {naive.error}")
        ledgers = _ledgers(service)
        loads: list[nightly.LoadCounts] = []
        if isinstance(service, Sandbox):  # at the real service a load would read the whole account
            service.stop_clock()
            loads = nightly.load_twice(airflow, display, RUN_TIMEOUT)
        display.phase("Stopping Airflow")
    results = shop.orders(database)
    console.print(order_table(results))
    if ledgers:
        console.print(call_table(*ledgers))
    totals = (sum(ledgers[0].values()), sum(ledgers[1].values())) if ledgers else None
    console.print(f"\n{summary(results, totals)}", style="bold", highlight=False)
    if loads:
        console.print()
        console.print(lane_table(nightly.read_lanes(database)))
        console.print(scorecard_table(nightly.read_scorecard(database)))
        console.print(f"\n{load_summary(loads)}", style="bold", highlight=False)
    _print(console, INVENTED if ledgers else "The real service does not count API calls.", wrap=True)
    steps = Table.grid(padding=(0, 2))
    for command, purpose in next_steps(own_orders, bool(ledgers)):
        steps.add_row(f"  {command}", purpose)
    console.print("\nNext:")
    console.print(steps)


def follow_run(airflow: Airflow, service: Service, naive: NaivePoller | None, database: Path, display: Display) -> None:
    """Trigger the DAG and show its progress.

    The sandbox's clock and the naive poller start with the DAG's first call, however long Airflow takes until then.

    :param airflow: a running Airflow that has loaded the DAG.
    :param service: where the parcels are tracked.
    :param naive: the poller that the DAG is compared with, not started; None at the real service.
    :param database: the shop's database.
    :param display: where to show the progress.
    :raises AirflowError: the run failed, or does not end.
    """
    total = len(shop.orders(database))
    run_id = airflow.call("POST", f"dags/{DAG_ID}/dagRuns", {"logical_date": None})["dag_run_id"]
    display.event(f"DAG {DAG_ID} started for {total} orders")
    display.phase(f"DAG {DAG_ID} is running", airflow.url)
    deadline = time.monotonic() + RUN_TIMEOUT + service.timeout + 3 * total
    while time.monotonic() < deadline:
        airflow.check()
        state = airflow.call("GET", f"dags/{DAG_ID}/dagRuns/{run_id}")["state"]
        snapshot = _snapshot(service, database)
        display.update(snapshot)
        if isinstance(service, Sandbox) and naive:
            if not naive.ident and snapshot.calls != (0, 0):
                service.start_clock()
                naive.start()
            elif service.day() >= HEAD_START.days:  # it is today: parcels that are still on their way stay so
                service.stop_clock()
        if state == "success":
            if naive and naive.ident:
                naive.stop()
            return
        if state == "failed":
            raise AirflowError(f"the run of {DAG_ID} failed\n{airflow.task_log_tail(DAG_ID, run_id)}")
        time.sleep(0.5)
    raise AirflowError(f"the run of {DAG_ID} did not end in time\n{airflow.tail('scheduler')}")


def _snapshot(service: Service, database: Path) -> Snapshot:
    orders = Counter(order.status for order in shop.orders(database))
    if not isinstance(service, Sandbox):
        return Snapshot(orders)
    accounts = service.process.accounts()
    dag, naive = (service.process.ledger(account)["requests"] for account in (DAG_ACCOUNT, NAIVE_ACCOUNT))
    return Snapshot(orders, accounts[DAG_ACCOUNT]["statuses"], (dag, naive), service.day())


def _naive_poller(service: Service, parcels: list[shop.Parcel]) -> NaivePoller | None:
    """Create the poller that the DAG is compared with; None at the real service, where it would spend quota."""
    if not isinstance(service, Sandbox):
        return None
    key = service.process.api_keys[NAIVE_ACCOUNT]
    return NaivePoller(service.process.base_url, key, parcels, service.poll_interval, service.timeout)


def _ledgers(service: Service) -> tuple[Mapping[str, int], Mapping[str, int]] | None:
    """Return the calls by endpoint of the DAG and of the naive poller; None at the real service."""
    if not isinstance(service, Sandbox):
        return None
    dag, naive = (service.process.ledger(account)["by_endpoint"] for account in (DAG_ACCOUNT, NAIVE_ACCOUNT))
    return dag, naive


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    """Stop the demo; further signals are ignored, so that they cannot interrupt the clean-up."""
    _ignore_signals()
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    for signal_number in SIGNALS:
        signal.signal(signal_number, signal.SIG_IGN)


def _kill_children() -> None:
    """Kill processes that could not be stopped properly because of an interrupt."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def _print(console: Console, text: str, *, wrap: bool = False) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=not wrap)
