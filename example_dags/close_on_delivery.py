"""Close orders when parcels are delivered, without a task that waits.

The watcher reports parcels of the account that have arrived or are lost, whoever has registered them. The task looks up
all parcels of their orders and settles the orders that are complete. The shop's database is the one of
``order_closing``: the connection ``orders_db`` with the tables ``orders`` and ``parcels``.

Asset watchers came with Airflow 3.0; on Airflow 2 this DAG only runs by hand, and does nothing.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import BaseHook, dag, get_current_context, task

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.events.changes import shipment_changes
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.triggers.shipment_changes import ShipmentChangesTrigger

POKE_INTERVAL = float(os.environ.get("CLOSE_ON_DELIVERY_POKE_INTERVAL", 30 * 60))  # seconds
LOST = {"exception": "delivery exception", "expired": "no news for too long"}
"""Statuses that put an order on hold, and the reason that the shop sees."""
log = logging.getLogger(__name__)

# [START watcher]
try:
    from airflow.sdk import Asset, AssetWatcher
except ImportError:  # Airflow 2
    SCHEDULE: list[Any] | None = None
else:
    trigger = ShipmentChangesTrigger(name="parcels_settled", statuses=["delivered", *LOST], poke_interval=POKE_INTERVAL)
    SCHEDULE = [Asset("parcels_settled", watchers=[AssetWatcher(name="trackingmore", trigger=trigger)])]
# [END watcher]


def parcels_of_open_orders(numbers: set[str]) -> dict[str, list[dict[str, str]]]:
    """Return all parcels of the open orders that have one of these parcels."""
    db: Any = BaseHook.get_connection("orders_db").get_hook()
    sql = (
        "SELECT order_id, carrier_code, tracking_number FROM parcels WHERE order_id IN"
        " (SELECT order_id FROM parcels JOIN orders USING (order_id) WHERE status = 'open' AND tracking_number = ?)"
    )
    orders: dict[str, list[dict[str, str]]] = {}
    for number in sorted(numbers):
        rows = db.get_records(sql.replace("?", db.placeholder), parameters=(number,))
        for order_id in {row[0] for row in rows}:
            own = [row for row in rows if row[0] == order_id]
            orders[order_id] = [{"carrier_code": carrier, "tracking_number": parcel} for _, carrier, parcel in own]
    return orders


def settle(order_id: str, status: str, reason: str | None = None, delivered_at: str | None = None) -> None:
    """Settle an order, once: one that is no longer open keeps what it has."""
    db: Any = BaseHook.get_connection("orders_db").get_hook()
    sql = "UPDATE orders SET status = ?, reason = ?, delivered_at = ? WHERE order_id = ? AND status = 'open'"
    db.run(sql.replace("?", db.placeholder), parameters=(status, reason, delivered_at, order_id))
    log.info("Order %s: %s%s", order_id, status, f", {reason}" if reason else "")


@dag(
    schedule=SCHEDULE,
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3},
    tags=["example", "trackingmore", "orders", "events"],
)
def close_on_delivery() -> None:
    """Settle the orders whose parcels have changed."""

    # [START settle]
    @task
    def settle_orders() -> None:
        """Settle each order that is complete, by the statuses that all of its parcels have now."""
        context: Any = get_current_context()
        changes = shipment_changes(context["triggering_asset_events"]) if SCHEDULE else []
        orders = parcels_of_open_orders({change["tracking_number"] for change in changes})
        with TrackingMoreHook() as hook:  # 40 parcels a call
            found = hook.find_trackings([parcel for parcels in orders.values() for parcel in parcels])
        for order_id, parcels in orders.items():
            trackings = [found.get(ShipmentKey(**parcel)) for parcel in parcels]
            known = [tracking for tracking in trackings if tracking]
            lost = [tracking for tracking in known if tracking.status in LOST]
            if lost:
                reasons = [f"{row.carrier_code} {row.tracking_number}: {LOST[row.status]}" for row in lost]
                settle(order_id, "on hold", "; ".join(reasons))
            elif len(known) == len(parcels) and all(row.status == "delivered" for row in known):
                settle(order_id, "closed", delivered_at=max(row.delivered_at or "" for row in known) or None)
            else:
                log.info("Order %s stays open: not all of its parcels have arrived", order_id)

    settle_orders()
    # [END settle]


close_on_delivery()
