"""Close the orders whose parcels have arrived.

Every day the DAG registers the parcels of all open orders, waits for each order separately, and closes it as soon as
its last parcel has arrived. An order with a lost, expired or rejected parcel is put on hold with the reason. An order
that is still on its way at the end of the day stays open for the next run. No task keeps state, so every task is safe
to repeat.

With another connection ``orders_db`` it runs on PostgreSQL, or any database with an SQL hook in Airflow. The tables::

    CREATE TABLE orders (order_id VARCHAR(40) PRIMARY KEY, status VARCHAR(10), reason TEXT, delivered_at VARCHAR(30));
    CREATE TABLE parcels (order_id VARCHAR(40), carrier_code VARCHAR(60), tracking_number VARCHAR(60));
"""

from __future__ import annotations

import logging
import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import BaseHook, dag, task, task_group

from airflow_provider_trackingmore.operators.trackings import CreateTrackingsOperator
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor

POKE_INTERVAL = float(os.environ.get("ORDER_CLOSING_POKE_INTERVAL", 30 * 60))  # seconds
TIMEOUT = float(os.environ.get("ORDER_CLOSING_TIMEOUT", 23 * 60 * 60))  # seconds: before the next day's run

LOST = {
    "exception": "delivery exception",
    "returned": "returned to the sender",
    "expired": "no news for too long",
    "not_registered": "not registered with TrackingMore",
}
"""Outcomes that put an order on hold, and the reason that the shop sees."""
REJECTIONS = {
    None: "invalid carrier or tracking number",
    4014: "invalid tracking number",
    4015: "unknown carrier",
    4021: "quota exhausted",
}
"""Reasons for the most common codes of a rejection. The log of the task ``register`` has the details."""
Parcel = dict[str, str]
log = logging.getLogger(__name__)


def orders_db() -> Any:
    """Open the shop's database, whichever kind it is."""
    return BaseHook.get_connection("orders_db").get_hook()


def settle(order_id: str, status: str, reason: str | None = None, delivered_at: str | None = None) -> None:
    """Settle an order, once: one that is no longer open keeps what it has."""
    db = orders_db()
    sql = "UPDATE orders SET status = ?, reason = ?, delivered_at = ? WHERE order_id = ? AND status = 'open'"
    db.run(sql.replace("?", db.placeholder), parameters=(status, reason, delivered_at, order_id))
    log.info("Order %s: %s%s", order_id, status, f", {reason}" if reason else "")


@dag(
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2},
    tags=["example", "trackingmore", "orders", "waiting"],
)
def order_closing() -> None:
    """Register the parcels of open orders, wait for them, close the orders."""

    @task
    def parcels_of_open_orders() -> list[Parcel]:
        rows = orders_db().get_records(
            "SELECT order_id, carrier_code, tracking_number FROM parcels JOIN orders USING (order_id)"
            " WHERE status = 'open' ORDER BY order_id, tracking_number"
        )
        return [dict(zip(("order_id", "carrier_code", "tracking_number"), row, strict=True)) for row in rows]

    @task
    def orders_to_wait_for(parcels: list[Parcel], report: dict[str, list[dict[str, Any]]]) -> list[list[Parcel]]:
        """Put orders with a rejected parcel on hold; return the parcels of each of the other orders."""
        codes = {(parcel["carrier_code"], parcel["tracking_number"]): parcel["code"] for parcel in report["rejected"]}
        orders: dict[str, list[Parcel]] = {}
        for parcel in parcels:
            orders.setdefault(parcel["order_id"], []).append(parcel)
        for order_id, order in list(orders.items()):
            rejected = [parcel for parcel in order if (parcel["carrier_code"], parcel["tracking_number"]) in codes]
            if rejected:
                reasons = [
                    REJECTIONS.get(codes[parcel["carrier_code"], parcel["tracking_number"]], "rejected")
                    for parcel in rejected
                ]
                settle(order_id, "on hold", describe(rejected, reasons))
                del orders[order_id]
        return list(orders.values())

    @task(map_index_template="order {{ task.op_kwargs['parcels'][0]['order_id'] }}")
    def close(parcels: list[Parcel], outcomes: list[dict[str, Any]] | None) -> None:
        """Close one order, put it on hold, or leave it open for the next run."""
        order_id = parcels[0]["order_id"]
        if outcomes is None:
            log.warning(
                "Order %s stays open: its wait has no result, because it was marked as success. The next run waits for "
                "its parcels again. If the order is to be closed without them, close it in the shop",
                order_id,
            )
            return
        lost = [parcel for parcel in outcomes if parcel["outcome"] in LOST]
        if lost:
            settle(order_id, "on hold", describe(lost, [LOST[parcel["outcome"]] for parcel in lost]))
        elif all(parcel["outcome"] == "delivered" for parcel in outcomes):
            settle(order_id, "closed", delivered_at=max(parcel["delivered_at"] or "" for parcel in outcomes) or None)
        else:
            log.info("Order %s stays open: not all of its parcels have arrived", order_id)

    @task_group
    def order(parcels: list[Parcel]) -> None:
        """Wait for one order and close it, so that no order waits for another or fails because of it."""
        arrival = ShipmentDeliveredSensor(
            task_id="wait",
            shipments=parcels,
            on_failed="report",
            poke_interval=POKE_INTERVAL,
            timeout=TIMEOUT,
            deferrable=True,
            end_from_trigger=True,  # from Airflow 3.3 on; otherwise a worker ends it
            map_index_template="order {{ task.shipments[0]['order_id'] }}",  # the name of each row in the UI
        )
        close(parcels=parcels, outcomes=arrival.output)

    parcels = parcels_of_open_orders()
    registration = CreateTrackingsOperator(task_id="register", shipments=parcels, on_rejected="report")
    order.expand(parcels=orders_to_wait_for(parcels, registration.output))


def describe(parcels: list[dict[str, Any]], reasons: list[str]) -> str:
    """Write down why an order is on hold."""
    pairs = zip(parcels, reasons, strict=True)
    return "; ".join(f"{parcel['carrier_code']} {parcel['tracking_number']}: {reason}" for parcel, reason in pairs)


order_closing()
