"""Runs when the status of any parcel changes; without webhooks, that is found out once an hour."""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, task
from airflow.sdk import AssetWatcher

from airflow_provider_trackingmore.triggers.shipment_changes import ShipmentChangesTrigger

trigger = ShipmentChangesTrigger(name="woken", poke_interval=3600, reconcile_seconds=3600)
changes = Asset("parcels_woken_by_webhook", watchers=[AssetWatcher(name="woken", trigger=trigger)])

with DAG("woken_by_webhook", schedule=[changes], start_date=pendulum.datetime(2026, 1, 1)):

    @task
    def note() -> None:
        pass

    note()
