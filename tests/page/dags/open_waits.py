"""Three hundred waits, which start in the triggerer if Airflow can do that, and two tasks that do not wait."""

from __future__ import annotations

import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, get_current_context, task
from airflow.sdk import Asset, AssetWatcher

from airflow_provider_trackingmore.events.changes import shipment_changes
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor
from airflow_provider_trackingmore.triggers.shipment_changes import ShipmentChangesTrigger

START = pendulum.datetime(2026, 1, 1)
MAPPED, PLAIN = 12, 288
FIRST_ORDER = 2001
CARRIERS = ("dhl", "usps", "ups", "gls", "dpd")
HTML = "<img src=x onerror=alert(1)>"
"""The name of an order, which must be shown as text."""
POKE_SECONDS = float(os.environ.get("PAGE_POKE_SECONDS", "15"))


def parcels_of(order: int) -> list[dict[str, str]]:
    """Return one to three parcels of an order, one of which never arrives by itself."""
    carrier = CARRIERS[order % 5]
    kinds = ("STUCK", "INSTANT", "UNDELIVEREDSTUCK")[: 1 + order % 3]
    return [
        {"carrier_code": carrier, "tracking_number": f"SBX-{kind}-{order}{letter}", "order_id": str(order)}
        for kind, letter in zip(kinds, "ABC", strict=False)
    ]


ORDERS = {str(order): parcels_of(order) for order in range(FIRST_ORDER, FIRST_ORDER + MAPPED + PLAIN)}
RETURNS = {str(order): parcels_of(order) for order in range(3001, 3016)}
TROUBLED = [
    {"carrier_code": CARRIERS[number % 5], "tracking_number": f"SBX-EXCEPTION-1D-500{number}", "age_hours": 1}
    for number in range(8)
]
OTHER_SHOP = [{"carrier_code": "dhl", "tracking_number": "SBX-STUCK-4001"}]

TROUBLE = ShipmentChangesTrigger(
    name="parcels_in_trouble",
    trackingmore_conn_id="history",
    statuses=["exception", "expired", "undelivered"],
    poke_interval=POKE_SECONDS,
    max_changes_per_event=5,
)


@dag(schedule=None, start_date=START, tags=["orders"])
def order_closing() -> None:
    """One wait for each order."""
    options = {"deferrable": True, "poke_interval": POKE_SECONDS, "timeout": 20 * 3_600, "on_failed": "report"}
    orders = list(ORDERS.values())
    ShipmentDeliveredSensor.partial(
        task_id="wait", map_index_template="order {{ task.shipments[0]['order_id'] }}", **options
    ).expand(shipments=orders[:MAPPED])
    for parcels in orders[MAPPED:]:
        order = parcels[0]["order_id"]
        ShipmentDeliveredSensor(task_id=f"wait_{order}", orders={order: parcels}, start_from_trigger=True, **options)

    @task
    def register() -> None:
        """A task that is no sensor."""

    register()


@dag(schedule=None, start_date=START, tags=["returns"])
def returns() -> None:
    """One wait for many orders."""
    ShipmentDeliveredSensor(
        task_id="wait", orders=RETURNS, deferrable=True, start_from_trigger=True, poke_interval=POKE_SECONDS
    )


@dag(schedule=None, start_date=START, tags=["other shop"])
def other_shop() -> None:
    """A wait of another account, which is checked once an hour."""
    ShipmentDeliveredSensor(
        task_id="wait",
        orders={HTML: OTHER_SHOP},
        trackingmore_conn_id="other_shop",
        deferrable=True,
        start_from_trigger=True,
        poke_interval=3_600,
    )


@dag(
    schedule=[Asset("parcels_in_trouble", watchers=[AssetWatcher(name="trackingmore", trigger=TROUBLE)])],
    start_date=START,
    catchup=False,
    tags=["events"],
)
def notify_on_exception() -> None:
    """Run because of the asset; its events are looked at in Airflow's UI."""

    @task
    def notify() -> list[str]:
        context: Any = get_current_context()
        changes = shipment_changes(context["triggering_asset_events"])
        return [f"{change['carrier_code']} {change['tracking_number']}: {change['status']}" for change in changes]

    notify()


notify_on_exception()
order_closing()
returns()
other_shop()
