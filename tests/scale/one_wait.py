"""A DAG with one wait, and a task that closes the orders that have arrived. Each parcel is an order."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

Mode: TypeAlias = Literal["deferrable", "trigger", "reschedule"]
MODES: tuple[Mode, ...] = ("deferrable", "trigger", "reschedule")
"""``trigger`` is deferrable with ``end_from_trigger=True``."""
POKE_SECONDS: dict[Mode, float] = {"deferrable": 4.0, "trigger": 4.0, "reschedule": 15.0}
SHOP = "INTERVENTIONS_SHOP"
TABLES = """
CREATE TABLE orders (order_id TEXT PRIMARY KEY, status TEXT);
CREATE TABLE changes (order_id TEXT, status TEXT);
CREATE TRIGGER remember AFTER UPDATE ON orders BEGIN INSERT INTO changes VALUES (new.order_id, new.status); END;
CREATE TABLE visits (dag_id TEXT, run_id TEXT, received TEXT);
"""
"""``visits`` has a row for each run of a ``close`` task, ``changes`` one for each order that was really changed."""


def one_wait(dag_id: str, mode: Mode, numbers: list[list[str]], **arguments: Any) -> None:
    """Create a DAG.

    :param dag_id: its id, and that of its connection.
    :param mode: how it waits.
    :param numbers: lists of tracking numbers: one for a single task, several for a mapped task.
    :param arguments: further arguments of the sensor.
    """
    shipments = [[{"carrier_code": "usps", "tracking_number": number} for number in own] for own in numbers]
    settings: dict[str, Any] = {
        "task_id": "wait",
        "trackingmore_conn_id": dag_id,
        "poke_interval": POKE_SECONDS[mode],
        "timeout": 7_200,
        **({"mode": "reschedule"} if mode == "reschedule" else {"deferrable": True}),
        "end_from_trigger": mode == "trigger",
        **arguments,
    }

    @dag(dag_id=dag_id, schedule=None, start_date=pendulum.datetime(2026, 1, 1))
    def build() -> None:
        @task
        def close(outcomes: Any, run_id: str | None = None) -> None:
            parcels = None if outcomes is None else list(_flat(outcomes))
            close_orders(dag_id, run_id or "", parcels)

        if len(shipments) == 1:
            close(ShipmentDeliveredSensor(shipments=shipments[0], **settings).output)
        else:
            close(ShipmentDeliveredSensor.partial(**settings).expand(shipments=shipments).output)

    build()


def _flat(outcomes: Any) -> Iterator[dict[str, Any]]:
    for outcome in outcomes:
        yield from outcome if isinstance(outcome, list) else [outcome]


def close_orders(dag_id: str, run_id: str, parcels: list[dict[str, Any]] | None) -> None:
    """Record the run, and close each open order whose parcel has arrived.

    :param parcels: the result of the wait; None if somebody marked it, so that there is none.
    """
    with closing(sqlite3.connect(Path(os.environ[SHOP]), timeout=60)) as shop, shop:
        received = (
            None
            if parcels is None
            else " ".join(f"{parcel['tracking_number']} {parcel['outcome']}" for parcel in parcels)
        )
        shop.execute("INSERT INTO visits VALUES (?, ?, ?)", (dag_id, run_id, received))
        for parcel in parcels or ():
            if parcel["outcome"] == "delivered":
                sql = "UPDATE orders SET status = 'closed' WHERE order_id = ? AND status = 'open'"
                shop.execute(sql, (parcel["tracking_number"],))
