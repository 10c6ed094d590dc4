"""Runs on changes of an account, and writes down each that it receives."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import Any

import pendulum
from airflow.sdk import Asset, AssetWatcher, dag, get_current_context, task

from airflow_provider_trackingmore.events.changes import shipment_changes
from airflow_provider_trackingmore.triggers.shipment_changes import ShipmentChangesTrigger

trigger = ShipmentChangesTrigger(name="chaos", poke_interval=2, reconcile_seconds=10, include_existing=True)


@dag(
    schedule=[Asset("parcels", watchers=[AssetWatcher(name="trackingmore", trigger=trigger)])],
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 5},
)
def record_changes() -> None:
    """Receive changes."""

    @task
    def record() -> int:
        context: Any = get_current_context()
        changes = shipment_changes(context["triggering_asset_events"])
        names = ("id", "tracking_number", "previous_status", "status", "sequence")
        rows = [(*(change[name] for name in names), context["run_id"]) for change in changes]  # type: ignore[literal-required]
        with closing(sqlite3.connect(os.environ["RECEIVED"], timeout=60)) as database, database:
            database.executemany("INSERT INTO received VALUES (?, ?, ?, ?, ?, ?)", rows)
        return len(rows)

    record()


record_changes()
