"""Hundreds of sensors wait at once, under a real Airflow with PostgreSQL: each is released once, by few calls.

`make test-scale WAITS=1000` runs it; its name keeps it out of `make test`. The sandbox allows what TrackingMore does,
one call a second.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from airflow import __version__

from airflow_provider_trackingmore.api.limits import PAGE_SIZE
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.scale.run import NOTE, Run
from tests.system.conftest import PEOPLE, PERSONAL_TEXTS, files_holding

pytestmark = pytest.mark.skipif(__version__.startswith("2."), reason="starts the components of Airflow 3")

DAG_ID = "many_waits"
ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0
SECONDS_A_WAIT = 5.0
"""The maximum for Airflow's start, and in addition for each wait: several times as long as on two idle processors."""
HELD_POKES = 6
"""For this many intervals, all wait and nothing changes. Alone, each would check as often, within the rate limit."""
ONCE = ("scheduled", "queued", "running", "deferred", "result", "success")
"""The expected record of each wait: one run on a worker, one wait, one result, one end."""


def most_calls(seconds: float, triggerers: int, parcels: int, interval: float) -> int:
    """Return the maximum number of calls of waits that share their calls, however many waits there are.

    A check costs one call for the list of changes and one for each page of the list, and takes another way only if that
    costs less. There is a check at the start of each interval, one that was under way, and one for waits that have just
    started.
    """
    checks = math.floor(seconds / interval) + 3
    return triggerers * checks * (1 + math.ceil(parcels / PAGE_SIZE))


@contextmanager
def running(folder: Path, triggerers: int) -> Iterator[Run]:
    """Start everything, with the DAG known and no run yet."""
    from demo.components import Airflow, free_port
    from tests.scale.dags.many_waits import ORDERS, WAITS
    from tests.scale.postgres import Postgres

    with ExitStack() as stack:
        keys = [secrets.token_hex(20)]
        sandbox = stack.enter_context(
            SandboxProcess(api_keys=keys, switches={"rate_tolerance": 0.25})  # for a busy machine
        )
        sandbox.seed(shipments=[parcel | PEOPLE for order in ORDERS for parcel in order])
        database = stack.enter_context(Postgres())
        # Two triggerers share the waits: either could not hold them all.
        capacity = WAITS if triggerers == 1 else math.ceil(0.6 * WAITS)
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).with_name("dags")),
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__MAX_MAP_LENGTH": str(max(WAITS, 1024)),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2{database.address}",
            "AIRFLOW__TRIGGERER__CAPACITY": str(capacity),
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(sandbox.connection),
            "SCALE_WAITS": str(WAITS),
            "TRACKINGMORE_PACING_DIR": str(folder / "pacing"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }
        log = stack.enter_context((folder / "log").open("w"))
        airflow = stack.enter_context(Airflow(folder / "airflow", log, settings))
        for number in range(2, triggerers + 1):
            port = {"AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port())}
            airflow.start("triggerer", name=f"triggerer {number}", environment=port)
        airflow.wait_for_dag(DAG_ID, START_SECONDS)
        database.rows(NOTE)
        yield Run(airflow, database, sandbox, WAITS, DAG_ID)


@pytest.mark.parametrize("triggerers", [1, 2])
def test_each_is_released_once_and_they_share_their_calls(triggerers: int, tmp_path: Path) -> None:
    from tests.scale.dags.many_waits import ORDERS, POKE_SECONDS

    parcels = sum(map(len, ORDERS))

    def most(seconds: float) -> int:
        return most_calls(seconds, triggerers, parcels, POKE_SECONDS)

    with running(tmp_path, triggerers) as run:
        longest = START_SECONDS + SECONDS_A_WAIT * run.waits
        began = time.monotonic()
        run.airflow.call("POST", f"dags/{DAG_ID}/dagRuns", {"logical_date": None})
        until_all_wait = run.until(run.all_wait, "all wait at once", longest)
        triggers, starting = run.triggers(), run.calls()
        print(f"\n{run.waits} waits for {parcels} parcels, triggers of each triggerer: {sorted(triggers.values())}")
        print(f"until all wait: {until_all_wait:.0f} s, {starting} calls", flush=True)

        time.sleep(HELD_POKES * POKE_SECONDS)
        assert run.all_wait(), run.where()
        held, holding = time.monotonic() - began - until_all_wait, run.calls() - starting
        alone = math.floor(held / POKE_SECONDS) * run.waits
        print(f"all wait: {held:.0f} s, {holding} calls, at most {most(held)}; alone they need {alone}", flush=True)

        run.sandbox.advance(days=2)
        until_released = run.until(run.all_released, "all are released", longest)
        releasing = run.calls() - starting - holding
        print(f"until the last release: {until_released:.0f} s, {releasing} calls, at most {most(until_released)}")
        run.until(run.over, "the orders are closed", longest)
        took, ledger = time.monotonic() - began, run.sandbox.ledger()
        print(f"all: {took:.0f} s, {ledger['requests']} calls, at most {run.waits + most(took)}", flush=True)
        print(f"calls {ledger['by_endpoint']}, of them {ledger['rate_limited']} times 429", flush=True)

        hidden = [run.sandbox.api_key, *PERSONAL_TEXTS]
        assert run.tables_holding(*hidden) == files_holding(tmp_path, *hidden) == []
        assert "xcom" in run.tables_holding(ORDERS[0][0]["tracking_number"]), "the search would have found them"
        assert len(triggers) == triggerers
        assert Counter(run.noted("wait").values()) == {ONCE: run.waits}
        assert run.database.rows("SELECT max(try_number) FROM task_instance") == [(1,)]
        assert run.database.rows("SELECT state FROM dag_run") == [("success",)]
        assert run.triggers() == {}
        closed = run.database.rows("SELECT value FROM xcom WHERE task_id = 'close' AND key = 'return_value'")
        assert closed == [([[f"{parcel['tracking_number']} delivered" for parcel in order] for order in ORDERS],)]
        assert ledger["rate_limited"] == 0
        assert holding <= most(held)
        assert releasing <= most(until_released)
        assert ledger["requests"] <= run.waits + most(took), "more than a first check each, and what they share"
