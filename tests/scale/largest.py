"""Find the largest wait and the largest XCom that Airflow's database stores. Runs in Airflow's environment.

`python -m tests.scale.largest` prints one JSON object. It writes with Airflow's models, and rolls everything back.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

MOST_SHIPMENTS = 50_000
MOST_XCOM_BYTES = 64 * 1024 * 1024
IsStored = Callable[[int], bool]


def largest(is_stored: IsStored, most: int) -> int:
    """Find the largest size that can be stored, to within one percent.

    :param is_stored: tells whether a size can be stored; all smaller sizes can be, too.
    :param most: the largest size to try.
    :return: the size; ``most`` if all can be stored.
    """
    low, high = 0, 64
    while is_stored(high):
        if high == most:
            return most
        low, high = high, min(2 * high, most)
    while high - low > max(high // 100, 1):
        middle = (low + high) // 2
        low, high = (middle, high) if is_stored(middle) else (low, middle)
    return low


def stored_forms(shipments: int, form: str) -> dict[str, str]:
    """Return what Airflow stores for the deferral of a sensor that waits for this many shipments.

    :param shipments: how many.
    :param form: ``shipments``, or ``orders`` of one shipment each.
    :return: the text of a deferral by a worker, which Airflow 3 does not encrypt, and of one that is encrypted, as in
        Airflow 2, and where a task starts in the triggerer.
    """
    from airflow.models.trigger import Trigger
    from airflow.providers.common.compat.sdk import TaskDeferred
    from airflow.sdk.serde import serialize

    from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor
    from tests.scale.dags.sizes import numbers

    made = numbers(shipments)
    awaited: dict[str, Any] = (
        {"shipments": made}
        if form == "shipments"
        else {"orders": {f"SO-{number:07}": [shipment] for number, shipment in enumerate(made)}}
    )
    sensor = ShipmentDeliveredSensor(task_id="wait", deferrable=True, poke_interval=1_800, timeout=7_200, **awaited)
    try:
        sensor.execute({})
    except TaskDeferred as deferral:
        _, arguments = deferral.trigger.serialize()
        return {"as it is": json.dumps(serialize(arguments)), "encrypted": Trigger.encrypt_kwargs(arguments)}
    raise AssertionError("the sensor has not deferred")


def main() -> None:
    """Measure, and print what was measured."""
    from airflow.models.dagrun import DagRun
    from airflow.models.trigger import Trigger
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import DBAPIError

    refusals: dict[str, str] = {}

    def is_stored(what: str, write: Callable[[Any], object]) -> bool:
        with create_session() as session:
            try:
                write(session)
                session.flush()
            except DBAPIError as error:
                refusals[what] = str(error.orig)[:200]
                return False
            finally:
                session.rollback()
        return True

    def trigger_is_stored(text: str, what: str) -> bool:
        row = Trigger(classpath="any", kwargs={})
        row.encrypted_kwargs = text
        return is_stored(what, lambda session: session.add(row))

    found: dict[str, Any] = {"waits": {}}
    for form in ("shipments", "orders"):
        for storage in ("as it is", "encrypted"):

            def wait_is_stored(count: int, form: str = form, storage: str = storage) -> bool:
                return trigger_is_stored(stored_forms(count, form)[storage], f"{form}, {storage}")

            most = largest(wait_is_stored, MOST_SHIPMENTS)
            bytes_stored = len(stored_forms(most, form)[storage])
            found["waits"][f"{form}, {storage}"] = {"most": most, "bytes": bytes_stored, "all": most == MOST_SHIPMENTS}

    with create_session() as session:
        run_id, dag_id = session.execute(select(DagRun.run_id, DagRun.dag_id).limit(1)).one()

    def xcom_is_stored(size: int) -> bool:
        place = {"dag_id": dag_id, "run_id": run_id, "task_id": "wait", "key": f"probe {time.monotonic()}"}
        return is_stored("xcom", lambda session: XComModel.set(value="x" * size, **place, session=session))

    most = largest(xcom_is_stored, MOST_XCOM_BYTES)
    found["xcom"] = {"bytes": most, "all": most == MOST_XCOM_BYTES}
    json.dump(found | {"refusals": refusals}, sys.stdout)


if __name__ == "__main__":
    main()
