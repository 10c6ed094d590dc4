"""The second act of the demo: Airflow loads the shipments into the shop's database, as it would in two nights."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .components import DAGS, Airflow, AirflowError
from .display import Display

DAG_ID, TASK_ID = "nightly_load", "load"
_LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
BUNDLES = [
    {"name": "dags-folder", "classpath": _LOCAL_BUNDLE, "kwargs": {"path": str(DAGS)}},
    {"name": "demo", "classpath": _LOCAL_BUNDLE, "kwargs": {"path": str(Path(__file__).with_name("dags"))}},
]
SETTINGS = {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(BUNDLES)}
"""With these settings Airflow has the DAG of this module as well."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of the view ``shipment_lane_transit``: days from the first scan to the delivery."""

    carrier_code: str
    origin: str
    destination: str
    measured: int
    p50_days: float
    p90_days: float


@dataclass(frozen=True, slots=True)
class Scores:
    """A row of the view ``carrier_scorecard``; rates are shares of the shipments, from 0 to 1."""

    carrier_code: str
    shipments: int
    delivered_rate: float
    exception_rate: float
    failed_attempt_rate: float
    expired_rate: float


@dataclass(frozen=True, slots=True)
class LoadCounts:
    """What the operator has returned of a load.

    :param new: shipments that the database did not have.
    :param changed: shipments that have changed since the last load.
    :param unchanged: shipments that have not.
    :param calls: API calls.
    """

    new: int
    changed: int
    unchanged: int
    calls: int


def load_twice(airflow: Airflow, display: Display, timeout: float) -> list[LoadCounts]:
    """Run the DAG twice, as in two nights.

    :param airflow: a running Airflow with :data:`SETTINGS`.
    :param display: where to show the progress.
    :param timeout: seconds for each run.
    :return: the counts of both loads.
    :raises AirflowError: a run failed, or does not end.
    """
    airflow.wait_for_dag(DAG_ID, timeout)
    return [_load_once(airflow, display, timeout) for _ in range(2)]


def _load_once(airflow: Airflow, display: Display, timeout: float) -> LoadCounts:
    run_id = airflow.call("POST", f"dags/{DAG_ID}/dagRuns", {"logical_date": None})["dag_run_id"]
    path = f"dags/{DAG_ID}/dagRuns/{run_id}"
    display.phase(f"DAG {DAG_ID} is running", airflow.url)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        airflow.check()
        state = airflow.call("GET", path)["state"]
        if state == "success":
            value = airflow.call("GET", f"{path}/taskInstances/{TASK_ID}/xcomEntries/return_value")["value"]
            result: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
            return LoadCounts(**result["rows"]["trackings"], calls=result["api_calls"])
        if state == "failed":
            raise AirflowError(f"the run of {DAG_ID} failed\n{airflow.task_log_tail(DAG_ID, run_id)}")
        time.sleep(0.5)
    raise AirflowError(f"the run of {DAG_ID} did not end in time\n{airflow.tail('scheduler')}")


def read_lanes(database: Path) -> list[Lane]:
    """Read the lanes, those with the most deliveries first.

    :param database: the shop's database after a load.
    """
    query = (
        "SELECT carrier_code, COALESCE(origin_country, ''), COALESCE(destination_country, ''), measured, p50_days,"
        " p90_days FROM shipment_lane_transit WHERE clock = 'delivery' ORDER BY measured DESC, 1, 2, 3"
    )
    return [Lane(*row) for row in _rows(database, query)]


def read_scorecard(database: Path) -> list[Scores]:
    """Read the scorecard, the carriers with the most shipments first.

    :param database: the shop's database after a load.
    """
    query = (
        "SELECT carrier_code, shipments, delivered_rate, exception_rate, failed_attempt_rate, expired_rate"
        " FROM carrier_scorecard ORDER BY shipments DESC, carrier_code"
    )
    return [Scores(*row) for row in _rows(database, query)]


def _rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()
