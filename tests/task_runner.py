"""Runs a sensor as Airflow does, through all its deferrals, in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.triggers.base import BaseTrigger

from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sensors.shipments import ShipmentStatusSensor


def run_to_end(make_sensor: Callable[[], ShipmentStatusSensor]) -> Any:
    """Return what the task returns, or raise what it raises, whether it defers or not.

    :param make_sensor: called for each run on a worker, as each reads the DAG file again.
    """
    try:
        return make_sensor().execute({})  # type: ignore[arg-type]
    except TaskDeferred as deferral:
        deferred = deferral
    while True:
        arguments = {**(deferred.kwargs or {}), "event": asyncio.run(_event_of(deferred.trigger))}
        try:
            return make_sensor().resume_execution(deferred.method_name, arguments, {})  # type: ignore[arg-type]
        except TaskDeferred as deferral:
            deferred = deferral


async def _event_of(trigger: BaseTrigger) -> Any:
    async with asyncio.timeout(60):
        async for event in trigger.run():
            return event.payload
    raise AssertionError("the trigger ended without an event")


def wait_until_account_is_free(conn_id: str = "trackingmore_default") -> None:
    """Wait until a call can be sent at once; otherwise a deferrable task leaves its first check to the triggerer."""
    with TrackingMoreHook(conn_id) as hook:
        ends_at = time.monotonic() + 60
        while not hook.get_conn().is_free():
            assert time.monotonic() < ends_at
            time.sleep(0.001)
