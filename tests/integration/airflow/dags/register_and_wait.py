"""Register parcels and wait for them, with every way to get the list of parcels from another task."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, chain, task

from airflow_provider_trackingmore.operators.trackings import CreateTrackingsOperator, DeleteTrackingsOperator
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor, ShipmentStatusSensor
from tests.integration.airflow.dags.every_mode import MODES
from tests.integration.airflow.parcels import PERSONAL, parcel

with DAG("register_and_wait", start_date=pendulum.datetime(2026, 1, 1), schedule=None) as dag:

    @task
    def registered(report: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
        return report["created"] + report["existing"]

    last: Any = None
    for mode, how in MODES.items():
        register = CreateTrackingsOperator(
            task_id=f"{mode}__register", shipments=[parcel(f"soon#{mode}{number}") | PERSONAL for number in (2, 1)]
        )
        parcels = registered.override(task_id=f"{mode}__registered")(register.output)
        wait = ShipmentDeliveredSensor(
            task_id=f"{mode}__wait", shipments=parcels, poke_interval=0.2, timeout=100, **how
        )
        if last is not None:
            chain(last, register)
        chain(register, parcels, wait)
        last = wait

    # Each of these gets two failures of the API before it gets its response.
    for mode, how in MODES.items():
        unlucky = ShipmentDeliveredSensor(
            task_id=f"{mode}__unlucky",
            shipments=[parcel("delivered")],
            trackingmore_conn_id="trackingmore_{{ 'once' }}",
            poke_interval=0.1,
            timeout=100,
            **how,
        )
        chain(last, unlucky)
        last = unlucky

    @task
    def orders() -> list[list[dict[str, str]]]:
        return [[parcel("delivered#a")], [], [parcel("transit#a"), parcel("delivered#b")]]

    ShipmentStatusSensor.partial(
        task_id="of_each_order",
        statuses=["delivered", "transit"],
        wait_for="{{ 'all' }}",
        fail_on="{{ 'exception' }}",
        poke_interval=0.1,
        deferrable=True,
    ).expand(shipments=orders())

    @task
    def one(name: str) -> dict[str, str]:
        return parcel(name)

    for mode, how in MODES.items():
        ShipmentDeliveredSensor(
            task_id=f"{mode}__gathered",
            shipments=one.override(task_id=f"{mode}__one").expand(name=["delivered#b", "delivered#a"]),
            wait_for="{{ 2 }}",
            poke_interval=0.1,
            **how,
        )

    fails = CreateTrackingsOperator(
        task_id="register_refused",
        shipments=[parcel("delivered#c"), {"carrier_code": "usps", "tracking_number": "SBX-REJECT-4014-1"}],
        retries=0,
    )

    @task(trigger_rule="all_done")
    def read_report(report: dict[str, list[dict[str, Any]]]) -> list[int | None]:
        return [rejection["code"] for rejection in report["rejected"]]

    read_report(fails.output)
    CreateTrackingsOperator.partial(task_id="register_each_order").expand(shipments=orders.override(task_id="two")())
    DeleteTrackingsOperator(task_id="delete_nothing", shipments=[])
