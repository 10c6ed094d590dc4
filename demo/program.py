"""The program behind ``make demo`` and ``make standalone``: the order of events."""

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
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from airflow_provider_trackingmore.sandbox.process import SandboxError

from . import shop
from .components import DAGS, Airflow, AirflowError
from .display import Display, Snapshot, create_display
from .naive import NaivePoller, trackable
from .report import INVENTED, call_table, next_steps, order_table, summary
from .services import (
    DAG_ACCOUNT,
    HEAD_START,
    NAIVE_ACCOUNT,
    SECONDS_PER_DAY,
    Sandbox,
    Service,
    real_service,
    sandbox_service,
)

DAG_ID = "order_closing"
ORDERS = DAGS / "orders.csv"
STARTUP_TIMEOUT, RUN_TIMEOUT = 300.0, 900.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PLAIN_WIDTH = 110
"""Columns of the output where it does not go to a terminal."""


def run_program(arguments: Sequence[str]) -> int:
    """Run ``python -m demo [standalone] [--keep]``.

    :param arguments: the arguments of the command line.
    :return: 0; 1 after an error; 130 if it was interrupted.
    """
    parser = argparse.ArgumentParser(prog="python -m demo", description="Run the example DAG order_closing.")
    parser.add_argument(
        "mode", nargs="?", choices=("demo", "standalone"), default="demo", help="standalone: keep Airflow running"
    )
    parser.add_argument("--keep", action="store_true", help="keep the logs and databases, and print where they are")
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
            run_demo(parcels, own_orders, console, folder)
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


def run_demo(parcels: list[shop.Parcel], own_orders: bool, console: Console, folder: Path) -> None:
    """Run the DAG once, and report.

    :param parcels: the parcels of the orders file.
    :param own_orders: whether that is the user's own file.
    :param console: where to print.
    :param folder: an empty folder for all files.
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
        display = stack.enter_context(create_display(console))
        log = stack.enter_context((folder / "demo.log").open("w", buffering=1, encoding="utf-8"))
        display.phase("Starting Airflow, which takes up to a minute")
        connections = _connections(service, database)
        # In the environment, unlike in Airflow's database, they are not on the disk.
        variables = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()}
        airflow = Airflow(folder / "airflow", log, _dag_settings(service, folder) | variables)
        stack.enter_context(airflow)
        airflow.wait_for_dag(DAG_ID, STARTUP_TIMEOUT)
        naive = _naive_poller(service, parcels)
        follow_run(airflow, service, naive, database, display)
        if naive and naive.error:
            raise AirflowError(f"the poller that the DAG is compared with failed: {naive.error}")
        display.phase("Stopping Airflow")
        ledgers = _ledgers(service)
    results = shop.orders(database)
    console.print(order_table(results))
    if ledgers:
        console.print(call_table(*ledgers))
    totals = (sum(ledgers[0].values()), sum(ledgers[1].values())) if ledgers else None
    console.print(f"\n{summary(results, totals)}", style="bold", highlight=False)
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


def run_standalone(parcels: list[shop.Parcel], console: Console, folder: Path) -> None:
    """Keep Airflow and the sandbox running until Ctrl-C.

    :param parcels: the parcels of the orders file.
    :param console: where to print.
    :param folder: an empty folder for all files.
    """
    database = folder / "orders.db"
    shop.make_database(database, parcels)
    with contextlib.ExitStack() as stack:
        sandbox = stack.enter_context(sandbox_service())
        display = stack.enter_context(create_display(console))
        log = stack.enter_context((folder / "demo.log").open("w", buffering=1, encoding="utf-8"))
        display.phase("Starting Airflow, which takes up to a minute")
        # Only connections in Airflow's database are shown in its UI; one in the environment would take precedence.
        connections = _connections(sandbox, database)
        variables = _dag_settings(sandbox, folder) | {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}
        hidden = {f"AIRFLOW_CONN_{name.upper()}" for name in connections}
        airflow = Airflow(folder / "airflow", log, variables, user_settings=True, ignored=hidden)
        stack.enter_context(airflow)
        airflow.wait_until_ready(STARTUP_TIMEOUT)
        for name, connection in connections.items():
            # "Test Connection" in the UI sends port 0, and Airflow rejects that if the port is not the stored one.
            airflow.call("POST", "connections", {"connection_id": name, "port": 0, **connection})
        own_dags = airflow.dags_folder == str(DAGS)
        if own_dags:
            airflow.wait_for_dag(DAG_ID, STARTUP_TIMEOUT)
        display.event(f"Airflow: {airflow.url}{f'/dags/{DAG_ID}' if own_dags else ''} (no password)")
        display.event(f"Connections: {', '.join(connections)}; test them in Admin > Connections")
        display.event(
            f"Sandbox: {sandbox.process.base_url}; its clock runs while a DAG runs, {SECONDS_PER_DAY:.0f} s a day"
        )
        if airflow.ignored_settings:
            display.event(f"Not used here: {', '.join(airflow.ignored_settings)}")
        display.phase("Running, press Ctrl-C to stop")
        while True:
            airflow.check()
            active = airflow.call("GET", "dags/~/dagRuns?state=running&state=queued&limit=1")["total_entries"]
            sandbox.start_clock() if active else sandbox.stop_clock()
            time.sleep(1)


def _connections(service: Service, database: Path) -> dict[str, dict[str, Any]]:
    return {
        "trackingmore_default": service.connection,
        "orders_db": {"conn_type": "sqlite", "host": str(database)},
    }


def _dag_settings(service: Service, folder: Path) -> dict[str, str]:
    settings = {
        "ORDER_CLOSING_POKE_INTERVAL": str(service.poll_interval),
        "ORDER_CLOSING_TIMEOUT": str(service.timeout),
    }
    if isinstance(service, Sandbox):  # at the real service the DAG shares the rate limit with everything else here
        (folder / "pacing").mkdir(mode=0o700)
        settings["TRACKINGMORE_PACING_DIR"] = str(folder / "pacing")
    return settings


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
    """Kill what an interrupt at an unlucky moment has kept from being stopped in an orderly way."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def _print(console: Console, text: str, *, wrap: bool = False) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=not wrap)
