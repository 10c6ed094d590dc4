"""``make demo`` and ``make standalone``: the order of events. What each part does is in the modules beside this one."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from airflow_provider_trackingmore.client.settings import MAX_REQUESTS_PER_SECOND
from airflow_provider_trackingmore.sandbox.process import SandboxError, SandboxProcess

from . import shop
from .components import Airflow, AirflowError
from .naive import NaivePoller, trackable
from .report import Progress, call_table, order_table

DAG_ID = "order_closing"
ORDERS = Path(__file__).resolve().parents[1] / "example_dags" / "orders.csv"
DAY = 86_400
DAY_LASTS = 3.0  # seconds of a day in the sandbox
LOOK_EVERY = 2.0
SANDBOX_GIVE_UP_AFTER = 60.0
REAL_LOOK_EVERY = 30.0
REAL_GIVE_UP_AFTER = 90.0
STARTED_WITHIN = 300.0
DAG_ACCOUNT, NAIVE_ACCOUNT = 0, 1


@dataclass(frozen=True, slots=True)
class Service:
    """Where the parcels are tracked, and how patiently.

    :param connection: the Airflow connection ``trackingmore_default``, as Airflow's API takes it.
    :param look_every: seconds between looks.
    :param give_up_after: seconds after which an order is left open.
    :param sandbox: the sandbox; None when it is the real service.
    """

    connection: dict[str, str]
    look_every: float
    give_up_after: float
    sandbox: SandboxProcess | None = None


def real_service(console: Console, parcels: int, own_orders: bool) -> Service | None:
    """Offer the real service when there is a key for it.

    :param console: where to ask.
    :param parcels: how many there are.
    :param own_orders: whether the orders are the user's own.
    :return: None: use the sandbox.
    """
    key = os.environ.get("TRACKINGMORE_API_KEY", "").strip()
    if not key:
        return None
    if not (sys.stdin.isatty() and console.is_terminal):
        console.print("TRACKINGMORE_API_KEY is set, but nobody is here to ask: the sandbox is used, no quota is spent.")
        return None
    console.print("TRACKINGMORE_API_KEY is set: the same DAG can run against the real service.")
    if not own_orders:
        console.print("It would take the made-up numbers of example_dags/orders.csv.")
        console.print("To take yours: make demo ORDERS=file.csv")
    console.print(f"It costs up to {parcels} units of quota: 1 for each parcel not registered yet.")
    answer = console.input("Use the real service? (y/N) ", markup=False)
    if answer.strip().lower() not in ("y", "yes"):
        console.print("The sandbox, then.")
        return None
    connection = {"conn_type": "trackingmore", "password": key}
    if host := os.environ.get("TRACKINGMORE_BASE_URL"):
        connection["host"] = host
    return Service(connection, REAL_LOOK_EVERY, REAL_GIVE_UP_AFTER)


@contextlib.contextmanager
def sandbox_service() -> Iterator[Service]:
    """Start a sandbox whose days last :data:`DAY_LASTS` seconds, with an account for the DAG and one to compare with.

    :return: the service, while the block runs.
    """
    keys = [secrets.token_hex(16) for _ in (DAG_ACCOUNT, NAIVE_ACCOUNT)]
    with SandboxProcess(api_keys=keys, time_scale=DAY / DAY_LASTS) as sandbox:
        connection = sandbox.connection_for(DAG_ACCOUNT)
        # The sandbox's limits run as fast as its clock, faster than a connection may say.
        extra = connection["extra"] | {"requests_per_second": MAX_REQUESTS_PER_SECOND}
        yield Service(connection | {"extra": json.dumps(extra)}, LOOK_EVERY, SANDBOX_GIVE_UP_AFTER, sandbox)


def follow_run(airflow: Airflow, service: Service, database: Path, progress: Progress) -> None:
    """Run the DAG and show how it goes.

    :param airflow: started, and aware of the DAG.
    :param service: where the parcels are tracked.
    :param database: the shop's.
    :param progress: where to show it.
    :raises AirflowError: the run failed, or takes far too long.
    """
    orders = len(shop.orders(database))
    run_id = airflow.call("POST", f"dags/{DAG_ID}/dagRuns", {"logical_date": None})["dag_run_id"]
    until = time.monotonic() + 240 + service.give_up_after + 3 * orders
    start = service.sandbox.clock()["unix"] if service.sandbox else 0.0
    while time.monotonic() < until:
        airflow.check()
        state = airflow.call("GET", f"dags/{DAG_ID}/dagRuns/{run_id}")["state"]
        settled = sum(order.status != "open" for order in shop.orders(database))
        day = f", day {(service.sandbox.clock()['unix'] - start) / DAY:.1f} in the sandbox" if service.sandbox else ""
        progress.now(f"{settled} of {orders} orders settled{day}")
        if state == "success":
            progress.say(f"{settled} of {orders} orders settled{day}: the run is over")
            return
        if state == "failed":
            raise AirflowError(f"the run of {DAG_ID} failed\n{airflow.task_log_tail(DAG_ID, run_id)}")
        time.sleep(0.5)
    raise AirflowError(f"the run of {DAG_ID} is not over in time\n{airflow.tail('scheduler')}")


def run(mode: str, parcels: list[dict[str, str]], console: Console, folder: Path, progress: Progress) -> None:
    """Run the demo, or keep it standing.

    :param mode: ``demo`` or ``standalone``.
    :param parcels: those of the orders file.
    :param console: where to print.
    :param folder: an empty folder for everything that is made.
    :param progress: where to show what is going on.
    """
    own = bool(os.environ.get("ORDERS"))
    database = folder / "orders.db"
    shop.make_database(database, parcels)
    with contextlib.ExitStack() as stack:
        service = real_service(console, len(parcels), own) if mode == "demo" else None
        service = service or stack.enter_context(sandbox_service())
        stack.enter_context(progress)
        log = stack.enter_context((folder / "demo.log").open("w", buffering=1, encoding="utf-8"))
        progress.say(f"Log: {folder / 'demo.log'}")
        if service.sandbox:
            progress.say(f"Sandbox: {service.sandbox.base_url}, one of its days lasts {DAY_LASTS:.0f} s")
            if not own:  # one number is there before the DAG registers it
                service.sandbox.seed(shipments=[trackable(parcels[0])], account=DAG_ACCOUNT)
        shop_connection = {"conn_type": "sqlite", "host": str(database)}
        connections = {"trackingmore_default": service.connection, "orders_db": shop_connection}
        settings = {
            "ORDER_CLOSING_LOOK_EVERY": str(service.look_every),
            "ORDER_CLOSING_GIVE_UP_AFTER": str(service.give_up_after),
        }
        if mode == "demo":  # in the environment they are on no disk, but Airflow's UI shows only those in its database
            settings |= {f"AIRFLOW_CONN_{name.upper()}": json.dumps(one) for name, one in connections.items()}
        progress.now("Airflow starting ...")
        airflow = stack.enter_context(Airflow(folder / "airflow", log, settings))
        airflow.wait_for_dag(DAG_ID, STARTED_WITHIN)
        if mode == "standalone":
            stand(airflow, connections, progress)
        progress.say(f"Airflow: {airflow.url}; DAG {DAG_ID} runs on {len(parcels)} parcels")
        naive = start_naive(service, parcels)
        follow_run(airflow, service, database, progress)
        if naive:
            naive.stop()
            if naive.error:
                raise AirflowError(f"the poller that the DAG is compared with ended early: {naive.error}")
        progress.now("Stopping ...")
        calls = call_counts(service)
    console.print(order_table(shop.orders(database)))
    if calls:
        console.print(call_table(*calls))
    else:
        console.print("API calls are counted by the sandbox; the real service does not tell.")


def start_naive(service: Service, parcels: list[dict[str, str]]) -> NaivePoller | None:
    """Start what the DAG is compared with.

    :param service: where the parcels are tracked.
    :param parcels: those of the DAG.
    :return: the running poller; None at the real service, where it would cost quota.
    """
    if service.sandbox is None:
        return None
    key = service.sandbox.api_keys[NAIVE_ACCOUNT]
    naive = NaivePoller(service.sandbox.base_url, key, parcels, service.look_every, service.give_up_after)
    naive.start()
    return naive


def call_counts(service: Service) -> tuple[Mapping[str, int], ...] | None:
    """Read the sandbox's ledger.

    :param service: where the parcels are tracked.
    :return: calls by endpoint of the DAG and of the naive poller; None for the real service.
    """
    if service.sandbox is None:
        return None
    return tuple(service.sandbox.ledger(account)["by_endpoint"] for account in (DAG_ACCOUNT, NAIVE_ACCOUNT))


def stand(airflow: Airflow, connections: Mapping[str, Mapping[str, Any]], progress: Progress) -> None:
    """Keep everything running until Ctrl-C.

    :param airflow: started.
    :param connections: put into Airflow's database, where its UI shows them.
    :param progress: where to say so.
    """
    for name, connection in connections.items():
        airflow.call("POST", "connections", {"connection_id": name, **connection})
    progress.say(f"Airflow: {airflow.url}/dags/{DAG_ID}  (no password; press Trigger)")
    progress.say(f"Connections: {', '.join(connections)}")
    progress.now("Running. Ctrl-C ends it.")
    while True:
        airflow.check()
        time.sleep(1)


def main() -> int:
    """Run ``python -m demo [standalone]``.

    :return: 0; 1 with the reason printed; 130 when it was ended early.
    """
    mode = sys.argv[1] if len(sys.argv) > 1 else "demo"
    console = Console(width=None if sys.stdout.isatty() else 110)
    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(wanted, signal.default_int_handler)
    try:
        parcels = shop.read_parcels(Path(os.environ.get("ORDERS") or ORDERS))
    except shop.OrdersFileError as error:
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="trackingmore-demo-"))
    code = 0
    try:
        run(mode, parcels, console, folder, Progress(console))
    except KeyboardInterrupt:
        console.print("Ended.")
        code = 0 if mode == "standalone" else 130
    except (AirflowError, SandboxError) as error:
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        console.print(f"More in {folder}", markup=False)
        return 1
    shutil.rmtree(folder / "airflow", ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
