"""One DAG for each mode of waiting, one wait for each of two dozen orders; ``benchmarks.waiting_airflow`` runs it."""

from __future__ import annotations

import inspect
import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.sensors.shipments import ShipmentStatusSensor

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
    "end_from_trigger": {"deferrable": True, "end_from_trigger": True},
    "start_and_end_from_trigger": {"deferrable": True, "end_from_trigger": True, "start_from_trigger": True},
}
"""Arguments of each; those that this version of the sensor does not know have no DAG."""
ORDERS = 24
POOL = "two_slots"
"""For all modes but poke, which needs a slot for each wait: as many start at once as there are processors."""


def parcel(mode: str, order: int) -> tuple[str, str]:
    """The one parcel of an order."""
    return "ups", f"SBX-DELIVERED-1D-{mode.replace('_', '').upper()}{order:02d}"


KNOWN = inspect.signature(ShipmentStatusSensor.__init__).parameters.keys() | {"mode"}

for mode, arguments in MODES.items():
    if not arguments.keys() <= KNOWN:
        continue
    with DAG(
        f"waiting_{mode}", schedule=None, start_date=pendulum.datetime(2026, 1, 1), default_args={"retries": 1}
    ) as dag:
        for order in range(ORDERS):
            carrier_code, tracking_number = parcel(mode, order)
            ShipmentStatusSensor(
                task_id=f"order_{order:02d}",
                shipments=[{"carrier_code": carrier_code, "tracking_number": tracking_number}],
                poke_interval=float(os.environ.get("WAITING_POKE_INTERVAL", "60")),
                timeout=600,
                pool="default_pool" if mode == "poke" else POOL,
                **arguments,
            )
    globals()[dag.dag_id] = dag
