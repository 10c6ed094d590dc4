"""``make standalone``: Airflow's UI with open waits, the page "Shipments", and webhooks from the sandbox."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from pathlib import Path

from rich.console import Console

from . import shop
from .components import DAGS, STARTUP_TIMEOUT, Airflow, AirflowError
from .display import create_display
from .services import DAG_ACCOUNT, DAG_ID, DAY, Sandbox, airflow_connections, dag_settings, sandbox_service

CONN_ID = "trackingmore_default"
MINUTES_PER_DAY = 10
"""Real minutes that a day of the sandbox takes, so that there is time to look at waits."""
POKE_INTERVAL, TIMEOUT = 60, DAY
"""Seconds: long enough that a wait which ends at once has been woken by a webhook."""
FIRST_DAYS = 1.5
"""How many days pass as soon as all orders wait, so that there is something to see of each parcel."""
WAITS_TIMEOUT = 300.0


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
        sandbox.process.set_time_scale(DAY / 60 / MINUTES_PER_DAY)
        display = stack.enter_context(create_display(console))
        log = stack.enter_context((folder / "demo.log").open("w", buffering=1, encoding="utf-8"))
        display.phase("Starting Airflow, which takes up to a minute")
        # Only connections in Airflow's database are shown in its UI; one in the environment would take precedence.
        secret = secrets.token_urlsafe(24)
        connections = airflow_connections(sandbox, database)
        connection = connections[CONN_ID]
        extra = json.loads(connection["extra"]) | {"webhook_secret": secret}
        connections[CONN_ID] = connection | {"extra": json.dumps(extra)}
        variables = dag_settings(sandbox, folder) | {
            "ORDER_CLOSING_POKE_INTERVAL": str(POKE_INTERVAL),
            "ORDER_CLOSING_TIMEOUT": str(TIMEOUT),
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        }
        hidden = {f"AIRFLOW_CONN_{name.upper()}" for name in connections}
        airflow = Airflow(folder / "airflow", log, variables, user_settings=True, ignored=hidden)
        stack.enter_context(airflow)
        airflow.wait_until_ready(STARTUP_TIMEOUT)
        for name, fields in connections.items():
            # "Test Connection" in the UI sends port 0, and Airflow rejects that if the port is not the stored one.
            airflow.call("POST", "connections", {"connection_id": name, "port": 0, **fields})
        sandbox.process.set_webhook(f"{airflow.url}/trackingmore/webhooks/{CONN_ID}/{secret}", account=DAG_ACCOUNT)
        own_dags = airflow.dags_folder == str(DAGS)
        if own_dags:
            airflow.wait_for_dag(DAG_ID, STARTUP_TIMEOUT)
            display.phase(f"DAG {DAG_ID} registers its parcels and begins to wait")
            _start_waits(airflow)
            sandbox.process.advance(days=FIRST_DAYS)
        control = f"{sandbox.process.base_url.removesuffix('/v2')}/_sandbox"
        display.event(f"Airflow: {airflow.url}{f'/dags/{DAG_ID}' if own_dags else ''} (no password)")
        display.event(f"Open waits, in the menu Browse: {airflow.url}/plugin/trackingmore-shipments")
        display.event(f"Connections: {', '.join(connections)}; test them in Admin > Connections")
        display.event(
            f"Sandbox: {sandbox.process.base_url}; its clock runs while a DAG runs, {MINUTES_PER_DAY} min per day"
        )
        display.event("Let a day pass at once. Its webhooks end the waits of parcels that arrive:")
        command = f"curl -H 'Content-Type: application/json' -d '{{\"advance\": {DAY}}}' {control}/clock"
        console.print(f"  {command}", markup=False, highlight=False, soft_wrap=True)  # to copy it
        if airflow.ignored_settings:
            display.event(f"Not used here: {', '.join(airflow.ignored_settings)}")
        display.phase("Running, press Ctrl-C to stop")
        _run_clock(airflow, sandbox)


def _start_waits(airflow: Airflow) -> None:
    """Start the DAG, and wait until its orders wait."""
    run_id = airflow.call("POST", f"dags/{DAG_ID}/dagRuns", {"logical_date": None})["dag_run_id"]
    path = f"dags/{DAG_ID}/dagRuns/{run_id}"
    deadline = time.monotonic() + WAITS_TIMEOUT
    while time.monotonic() < deadline:
        airflow.check()
        if airflow.call("GET", path)["state"] in ("success", "failed"):
            return
        waiting = airflow.call("GET", f"{path}/taskInstances?state=deferred&limit=1")["total_entries"]
        if waiting and not _count_active(airflow, path):
            return
        time.sleep(1)
    raise AirflowError(f"the orders of {DAG_ID} do not wait\n{airflow.task_log_tail(DAG_ID, run_id)}")


def _count_active(airflow: Airflow, path: str) -> int:
    states = "&".join(f"state={state}" for state in ("scheduled", "queued", "running", "restarting", "up_for_retry"))
    return int(airflow.call("GET", f"{path}/taskInstances?{states}&limit=1")["total_entries"])


def _run_clock(airflow: Airflow, sandbox: Sandbox) -> None:
    """Let the sandbox's clock run whenever a DAG runs, until Ctrl-C."""
    while True:
        airflow.check()
        active = airflow.call("GET", "dags/~/dagRuns?state=running&state=queued&limit=1")["total_entries"]
        sandbox.start_clock() if active else sandbox.stop_clock()
        time.sleep(1)
